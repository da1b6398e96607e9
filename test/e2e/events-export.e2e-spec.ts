import { createEvent, expectInvalid, expectProblem, startEmptyApp, type EventBody } from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';
import { download, type Format } from '../support/transfer';

const FORMATS = ['ndjson', 'json', 'csv'] as const;
const HEADER = 'id,event_type,severity,message,details,source,timestamp,created_at,updated_at\r\n';

const linesOf = (text: string): EventBody[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as EventBody);

describe('GET /api/events/export', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  beforeEach(() => api.sql('TRUNCATE system_events RESTART IDENTITY'));

  afterAll(() => api.close());

  const sourcesOf = async (query: string): Promise<(string | null)[]> =>
    linesOf((await download(api, query)).text).map(({ source }) => source);

  it('sends every event as a GET of it does: NDJSON, which is the default', async () => {
    const stored = [await createEvent(api, { details: { n: 1 } }), await createEvent(api, { source: 'api' })];
    const { status, headers, text } = await download(api);
    expect([status, text]).toEqual([200, stored.map((event) => `${event.text}\n`).join('')]);
    expect(headers.get('content-type')).toBe('application/x-ndjson');
    expect((await download(api, '?format=ndjson')).text).toBe(text);
  });

  it('sends one array: JSON', async () => {
    const stored = [await createEvent(api, { details: { n: 1 } }), await createEvent(api, { source: 'api' })];
    const { headers, text } = await download(api, '?format=json');
    expect(text).toBe(`[\n${stored.map((event) => event.text).join(',\n')}\n]\n`);
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
  });

  it('sends a table: CSV', async () => {
    const { body: first } = await createEvent(api, { details: { a: 'x"y', n: 1.5 }, source: 'api' });
    const { body: second } = await createEvent(api, { message: '=1+1', source: '' });
    const { headers, text } = await download(api, '?format=csv');
    const own = ({ timestamp, created_at, updated_at }: EventBody): string =>
      `${timestamp},${created_at},${updated_at}\r\n`;
    expect(text).toBe(
      HEADER +
        `${first.id},deployment,info,api 1.4.2 is live,"{""a"": ""x\\""y"", ""n"": 1.5}",api,${own(first)}` +
        `${second.id},deployment,info,'=1+1,,"",${own(second)}`,
    );
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
  });

  it.each<[string, string]>([
    ['=', `'=x`],
    ['+', `'+x`],
    ['-', `'-x`],
    ['@', `'@x`],
    ['\t', `'\tx`],
    ['\r', `"'\rx"`],
    [`'`, `''x`],
    ['x=', 'x=x'],
    [' =', ' =x'],
  ])('neutralises formulas in CSV, in each column of text: %j', async (start, cell) => {
    await createEvent(api, { event_type: `${start}x`, message: `${start}x`, source: `${start}x` });
    const { text } = await download(api, '?format=csv');
    expect(text.slice(HEADER.length)).toContain(`1,${cell},info,${cell},,${cell},`);
  });

  it('keeps numbers in details that JavaScript cannot', async () => {
    await createEvent(api);
    const details = '{"big": 12345678901234567890, "exact": 0.1000000000000000055511151231257827}';
    await api.sql('UPDATE system_events SET details = $1', [details]);
    expect((await download(api)).text).toContain(details);
    expect((await download(api, '?format=csv')).text).toContain(details.replaceAll('"', '""'));
  });

  it.each<[Format, string]>([
    ['ndjson', ''],
    ['json', '[\n\n]\n'],
    ['csv', HEADER],
  ])('sends a file without events: %s', async (format, text) => {
    expect(await download(api, `?format=${format}`)).toMatchObject({ status: 200, text });
  });

  it.each(FORMATS)('names the file and keeps caches out: %s', async (format) => {
    const before = Date.now();
    const { headers } = await download(api, `?format=${format}`);
    const name = /^attachment; filename="events-(\d{8})T(\d{6})Z\.(\w+)"$/.exec(
      headers.get('content-disposition') ?? '',
    );
    expect(name?.[3]).toBe(format);
    const stamp = `${name?.[1]}T${name?.[2]}Z`.replace(/(....)(..)(..T..)(..)/, '$1-$2-$3:$4:');
    expect(Math.abs(Date.parse(stamp) - before)).toBeLessThan(60_000);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.has('content-length')).toBe(false);
  });

  it('goes by time and then by id, the oldest or the newest first', async () => {
    for (const [source, second] of [
      ['a', 2],
      ['b', 1],
      ['c', 2],
      ['d', 3],
    ] as const) {
      await createEvent(api, { source, timestamp: `2026-01-31T00:00:0${second}Z` });
    }
    expect(await sourcesOf('')).toEqual(['b', 'a', 'c', 'd']);
    expect(await sourcesOf('?sort=timestamp')).toEqual(['b', 'a', 'c', 'd']);
    expect(await sourcesOf('?sort=-timestamp')).toEqual(['d', 'c', 'a', 'b']);
  });

  it('takes every filter of the listing', async () => {
    await createEvent(api, { source: 'a', severity: 'error', details: { n: 4 }, message: 'disk sda1 failed' });
    await createEvent(api, { source: 'b', event_type: 'restart', timestamp: '2026-01-31T00:00:00Z' });
    await createEvent(api, { source: 'c', severity: 'critical', message: 'disk sdb2 failed' });
    for (const [query, sources] of [
      ['since=1h', ['a', 'c']],
      ['until=2026-01-31T00:00:00.001Z', ['b']],
      ['event_type=restart', ['b']],
      ['severity=error&severity=info', ['b', 'a']],
      ['min_severity=error', ['a', 'c']],
      ['source=a&source=b', ['b', 'a']],
      ['q=sda1', ['a']],
      ['details.n=4', ['a']],
      ['source=nothing', []],
    ] as const) {
      for (const format of FORMATS) {
        const { text } = await download(api, `?${query}&format=${format}`);
        expect([query, format, text.match(/(deployment|restart)/g)?.length ?? 0]).toEqual([
          query,
          format,
          sources.length,
        ]);
      }
      expect([query, await sourcesOf(`?${query}`)]).toEqual([query, sources]);
    }
  });

  it.each([
    ['format=xml', 'format'],
    ['format=', 'format'],
    ['format=csv&format=json', 'format'],
    ['sort=id', 'sort'],
    ['severity=loud', 'severity'],
    ['since=yesterday', 'since'],
    ['limit=5', 'limit'],
    ['offset=5', 'offset'],
    ['cursor=x', 'cursor'],
    ['verbose=true', 'verbose'],
  ])('answers 422: %s', async (query, parameter) => {
    expectInvalid(await send('GET', `${api.url}/api/events/export?${query}`), parameter);
  });

  it('answers HEAD like GET, without the file', async () => {
    await createEvent(api);
    const answer = await send('HEAD', `${api.url}/api/events/export?format=csv`);
    expect([answer.status, answer.text]).toEqual([200, '']);
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
    expect(answer.headers.get('content-length') ?? 'none').toBe('none');
    expect((await send('HEAD', `${api.url}/api/events/export?format=xml`)).status).toBe(422);
  });

  it('answers 405 to other methods', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      expectProblem(await send(method, `${api.url}/api/events/export`), 405);
    }
  });

  it('passes no event over and repeats none, over many pages', async () => {
    await api.sql(`
      INSERT INTO system_events (event_type, severity, message, "timestamp")
      SELECT 'x', 'info', repeat('y', CASE WHEN n % 500 = 0 THEN 65536 ELSE 1 END), 'epoch'::timestamptz + n / 1200 * interval '1 s'
      FROM generate_series(1, 5000) n`);
    const ids = Array.from({ length: 5000 }, (_, index) => index + 1);
    for (const format of FORMATS) {
      const { text } = await download(api, `?format=${format}`);
      const found = [...text.matchAll(/^(?:\{"id":)?(\d+),/gm)].map(([, id]) => Number(id));
      expect([format, found]).toEqual([format, ids]);
      if (format === 'json') expect(JSON.parse(text)).toHaveLength(5000);
    }
    const { text } = await download(api, '?sort=-timestamp');
    expect(linesOf(text).map(({ id }) => id)).toEqual(ids.reverse());
  });

  it('answers 503 when the database is away before the first event', async () => {
    await api.sql('ALTER TABLE system_events RENAME TO elsewhere');
    try {
      const problem = expectProblem(await send('GET', `${api.url}/api/events/export?format=csv`), 503);
      expect(problem.detail).toMatch(/database/);
    } finally {
      await api.sql('ALTER TABLE elsewhere RENAME TO system_events');
    }
  });
});
