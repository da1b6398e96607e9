import { countEvents, EVENT, expectInvalid, expectProblem, startEmptyApp, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import type { TestApp } from '../support/test-app';

interface BatchBody {
  accepted: number;
  rejected: number;
  ids: (number | null)[];
  errors: { index: number; status: number; detail: string; pointer?: string }[];
}

const NDJSON = 'application/x-ndjson';
const MEBIBYTE = 1024 * 1024;

describe('POST /api/events/batch', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterAll(() => api.close());

  beforeEach(() => api.sql('TRUNCATE system_events'));

  const post = (
    body: string | Uint8Array<ArrayBuffer>,
    { type = 'application/json', query = '', headers = {} } = {},
  ): Promise<Answer<BatchBody>> =>
    send('POST', `${api.url}/api/events/batch${query}`, { body, headers: { 'content-type': type, ...headers } });

  const postArray = (events: unknown[], query = ''): Promise<Answer<BatchBody>> =>
    post(JSON.stringify(events), { query });

  const messages = async (): Promise<string[]> =>
    (await api.sql<{ message: string }>('SELECT message FROM system_events ORDER BY id')).map(({ message }) => message);

  const numbered = (count: number): { message: string }[] =>
    Array.from({ length: count }, (_, index) => ({ ...EVENT, message: `event ${index}` }));

  it.each([1, 2, 100, 999, 1000, 1001, 10_000])('stores %i events, with their ids in order', async (count) => {
    const events = numbered(count);
    const answer = await postArray(events);
    expect([answer.status, answer.body.accepted, answer.body.rejected, answer.body.errors]).toEqual([
      200,
      count,
      0,
      [],
    ]);
    const rows = await api.sql<{ id: string; message: string }>('SELECT id, message FROM system_events');
    const byId = new Map(rows.map(({ id, message }) => [Number(id), message]));
    expect(answer.body.ids.map((id) => byId.get(id ?? 0))).toEqual(events.map(({ message }) => message));
  });

  it('stores what POST /api/events stores', async () => {
    const event = {
      ...EVENT,
      details: { b: [1, { c: null }], a: 'ü😀' },
      source: 'api',
      timestamp: '2026-01-31T10:30:00.1239+01:00',
    };
    const alone = await send<EventBody>('POST', `${api.url}/api/events`, { json: event });
    const { body } = await postArray([event]);
    const stored = await send<EventBody>('GET', `${api.url}/api/events/${body.ids[0]}`);
    const { event_type, severity, message, details, source, timestamp } = alone.body;
    expect(stored.body).toMatchObject({ event_type, severity, message, details, source, timestamp });
    expect(stored.body.timestamp).toBe('2026-01-31T09:30:00.123Z');
  });

  it('rejects bad events alone, and says which and why', async () => {
    const answer = await postArray([
      EVENT,
      { ...EVENT, severity: 'fatal' },
      { event_type: '', severity: 'fatal' },
      'no event',
      null,
      [],
      { ...EVENT, message: 'a\0b' },
      { ...EVENT, details: { a: { b: 'x\0' } } },
      { ...EVENT, details: { n: 2 ** 53 } },
      { ...EVENT, colour: 'red' },
      { ...EVENT, message: 'last' },
    ]);
    expect(answer.status).toBe(200);
    expect(answer.body.ids.map((id) => id !== null)).toEqual([true, ...Array<boolean>(9).fill(false), true]);
    expect([answer.body.accepted, answer.body.rejected]).toEqual([2, 9]);
    expect(answer.body.errors.map(({ index, status, pointer }) => [index, status, pointer])).toEqual([
      [1, 422, '#/severity'],
      [2, 422, '#/event_type'],
      [3, 422, '#'],
      [4, 422, '#'],
      [5, 422, '#'],
      [6, 422, '#/message'],
      [7, 422, '#/details/a/b'],
      [8, 422, '#/details/n'],
      [9, 422, '#/colour'],
    ]);
    expect(answer.body.errors[1]?.detail).toMatch(/\(and 2 more\)$/);
    expect(await messages()).toEqual([EVENT.message, 'last']);
  });

  it('rejects a lone surrogate alone, which no body of one event can have', async () => {
    const answer = await post(`[{"event_type":"a","severity":"info","message":"\\ud800"},${JSON.stringify(EVENT)}]`);
    expect(answer.body).toMatchObject({ accepted: 1, rejected: 1, errors: [{ index: 0, status: 400 }] });
  });

  it('lets an event alone fail that the database refuses', async () => {
    await api.sql(`ALTER TABLE system_events ADD CONSTRAINT no_poison CHECK (message NOT LIKE 'poison%')`);
    try {
      const events = numbered(1500);
      for (const place of [0, 7, 998, 1499]) events[place] = { ...EVENT, message: 'poison' };
      const answer = await postArray(events);
      expect(answer.body.errors.map(({ index, status }) => [index, status])).toEqual(
        [0, 7, 998, 1499].map((index) => [index, 422]),
      );
      expect(await countEvents(api)).toBe(1496);
      expectInvalid(await postArray(events, '?atomic=true'), '#/0', '#/7', '#/998', '#/1499');
      expect(await countEvents(api)).toBe(1496);
    } finally {
      await api.sql('ALTER TABLE system_events DROP CONSTRAINT no_poison');
    }
  });

  it('reads newline-delimited JSON, blank lines aside; a broken line is one rejected event', async () => {
    const line = (message: string): string => JSON.stringify({ ...EVENT, message });
    const body = Buffer.concat([
      Buffer.from(`\n${line('first')}\r\n \t\n{"broken":\n`),
      Buffer.from([0xff, 0x0a]),
      Buffer.from(`${line('ü')}\n[]\n${line('last')}`),
    ]);
    const answer = await post(new Uint8Array(body), { type: `${NDJSON}; charset=utf-8` });
    expect(answer.body.errors.map(({ index, status }) => [index, status])).toEqual([
      [1, 400],
      [2, 400],
      [4, 422],
    ]);
    expect(await messages()).toEqual(['first', 'ü', 'last']);
  });

  it.each([
    ['[]', 'application/json'],
    ['\n\n', NDJSON],
  ])('answers an empty batch, %j as %s, with nothing', async (body, type) => {
    const answer = await post(body, { type });
    expect([answer.status, answer.text]).toEqual([200, '{"accepted":0,"rejected":0,"ids":[],"errors":[]}']);
  });

  it('stores all or nothing when it is told to', async () => {
    const refused = await postArray([EVENT, { ...EVENT, severity: 'fatal', source: 5 }, 7], '?atomic=true');
    expectInvalid(refused, '#/1/severity', '#/1/source', '#/2');
    expect(await countEvents(api)).toBe(0);
    const answer = await postArray(numbered(2500), '?atomic=true');
    expect([answer.status, answer.body.accepted, await countEvents(api)]).toEqual([200, 2500, 2500]);
  });

  it('stores nothing of more than 10,000 events', async () => {
    expectProblem(await postArray(numbered(10_001)), 413);
    const lines = numbered(10_001).map((event) => `${JSON.stringify(event)}\n`);
    expectProblem(await post(lines.join(''), { type: NDJSON }), 413);
    expect(await countEvents(api)).toBe(0);
  });

  it('reads 16 MiB and not a byte more', async () => {
    const events = JSON.stringify(Array.from({ length: 240 }, () => ({ ...EVENT, message: 'x'.repeat(65_536) })));
    const answer = await post(events.padEnd(16 * MEBIBYTE));
    expect([answer.status, answer.body.accepted]).toEqual([200, 240]);
    expectProblem(await post(events.padEnd(16 * MEBIBYTE + 1)), 413);
  });

  it.each(['application/json', NDJSON])('takes an event of 1 MiB, and rejects a longer one alone: %s', async (type) => {
    const sized = (bytes: number): string =>
      `${JSON.stringify(EVENT)
        .slice(0, -1)
        .padEnd(bytes - 1)}}`;
    const events = [sized(MEBIBYTE), sized(MEBIBYTE + 1), JSON.stringify(EVENT)];
    const body = type === NDJSON ? events.join('\n') : `[${events.join(',')}]`;
    const answer = await post(body, { type });
    expect(answer.body).toMatchObject({
      accepted: 2,
      errors: [{ index: 1, status: 413, detail: 'The event is larger than 1 MiB.' }],
    });
    expectInvalid(await post(body, { type, query: '?atomic=true' }), '#/1');
    expect(await countEvents(api)).toBe(2);
  });

  it('stores nothing of a large array that is broken at its end', async () => {
    const events = JSON.stringify(numbered(5000));
    for (const end of ['', ',', ',]', '}', ']]', `]${events}`, ',{"a":]', ',"\\"]']) {
      expectProblem(await post(events.slice(0, -1) + end), 400);
    }
    expect(await countEvents(api)).toBe(0);
    expect((await post(events)).body.accepted).toBe(5000);
  });

  it.each([
    ['{"a":1}', 422],
    ['"text"', 422],
    ['[', 400],
    ['', 400],
    ['[{"a":1}', 400],
  ])('refuses the body %j with %i', async (body, status) => {
    expectProblem(await post(body), status);
  });

  it('refuses other types, and unknown or wrong parameters', async () => {
    expectProblem(await post('a,b', { type: 'text/csv' }), 415);
    expectProblem(await post('[]', { headers: { 'content-encoding': 'gzip' } }), 415);
    expectProblem(
      await send('POST', `${api.url}/api/events`, { body: '{}', headers: { 'content-type': NDJSON } }),
      415,
    );
    for (const query of ['atomic=yes', 'atomic=', 'atomic=1', 'atomic=true&atomic=true', 'atomic=TRUE']) {
      expectInvalid(await postArray([EVENT], `?${query}`), 'atomic');
    }
    expectInvalid(await postArray([EVENT], '?atomc=true'), 'atomc');
    expect(await countEvents(api)).toBe(0);
  });

  it('makes cached answers new', async () => {
    const read = async (): Promise<unknown[]> => {
      const [list, stats] = await Promise.all([
        send<unknown[]>('GET', `${api.url}/api/events/type/batched`),
        send<{ total_events: number }>('GET', `${api.url}/api/events/stats`),
      ]);
      return [list.body.length, stats.body.total_events];
    };
    for (let round = 0; round < 5; round++) {
      expect(await read()).toEqual([round * 2, round * 2]);
      await postArray([1, 2].map(() => ({ ...EVENT, event_type: 'batched' })));
    }
  });

  describe('with an Idempotency-Key', () => {
    const keyed = (key: string, events: unknown[], query = ''): Promise<Answer<BatchBody>> =>
      post(JSON.stringify(events), { query, headers: { 'idempotency-key': key } });

    it('answers the same again, and stores once', async () => {
      const events = [EVENT, { ...EVENT, severity: 'fatal' }, ...numbered(1200)];
      const first = await keyed('batch', events);
      const again = await keyed('batch', events);
      expect([first.status, again.status, again.text]).toEqual([200, 200, first.text]);
      expect([first, again].map(({ headers }) => headers.get('idempotent-replayed'))).toEqual([null, 'true']);
      expect(await countEvents(api)).toBe(1201);
      expectInvalid(await keyed('batch', [EVENT]), 'Idempotency-Key');
    });

    it('refuses the key with another query, and stores nothing', async () => {
      expect((await keyed('another query', [EVENT])).status).toBe(200);
      const answer = await keyed('another query', [EVENT], '?atomic=true');
      expectInvalid(answer, 'Idempotency-Key');
      expect(answer.text).toContain('another body or query');
      expect(await countEvents(api)).toBe(1);
    });

    it('is not used up by a batch that is refused', async () => {
      expectProblem(await keyed('refused', [{}], '?atomic=true'), 422);
      expect((await keyed('refused', [EVENT], '?atomic=true')).status).toBe(200);
    });

    it('stores once for 20 parallel requests', async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => keyed('parallel', numbered(50))));
      expect(new Set(answers.filter(({ status }) => status === 200).map(({ text }) => text)).size).toBe(1);
      for (const answer of answers) if (answer.status !== 200) expectProblem(answer, 409);
      expect(await countEvents(api)).toBe(50);
    });
  });
});
