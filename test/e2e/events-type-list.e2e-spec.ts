import { createEvent, expectInvalid, nextLink, startEmptyApp, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import type { TestApp } from '../support/test-app';

describe('GET /api/events/type/{event_type}', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterAll(() => api.close());

  const pathOf = (type: string): string => `/api/events/type/${encodeURIComponent(type)}`;
  const list = (path: string): Promise<Answer<EventBody[]>> => send('GET', api.url + path);

  it('lists one type, the newest first, ties by id descending', async () => {
    const times = ['2026-01-01T00:00:00Z', '2026-01-03T00:00:00Z', '2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z'];
    const stored: EventBody[] = [];
    for (const timestamp of times) stored.push((await createEvent(api, { event_type: 'ordered', timestamp })).body);
    await createEvent(api, { event_type: 'another' });
    const expected = [3, 1, 2, 0].map((index) => stored[index]);
    for (const path of ['/api/events/type/ordered', '/api/events/type/ordered', '/api/events/type/ordered/']) {
      const answer = await list(path);
      expect([answer.status, answer.body]).toEqual([200, expected]);
      expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
      expect(nextLink(answer)).toBeUndefined();
    }
    expect((await list('/api/events/type/ordered?limit=2&offset=1')).body).toEqual(expected.slice(1, 3));
    expect(await send('HEAD', `${api.url}/api/events/type/ordered`)).toMatchObject({ status: 200, text: '' });
  });

  it('lists nothing for a type without events', async () => {
    const answer = await list('/api/events/type/unheard-of');
    expect([answer.status, answer.text]).toEqual([200, '[]']);
  });

  it.each([
    ...[
      'a/b',
      '/',
      '//',
      'a/',
      '/a',
      '100%',
      '%',
      '%25',
      '%2F',
      '%zz',
      'a b',
      ' a',
      'a+b',
      '+',
      'a?b',
      '?',
      '#',
      'a;b',
    ],
    ...['a&b=c', '=', '"', "'", '\\', '<>', 'stats', 'type', '5', '*', ':id', ':event_type', '{}', '...', '~', 'a\tb'],
    ...['__proto__', 'constructor', 'toString', 'null', 'undefined', "'; DROP TABLE system_events; --", '$1'],
    ...['деплой', '部署', 'نشر', 'é', 'e\u0301', '😀', '\u202ea', '\ufeffa', 'İ'],
    ...['x'.repeat(100), 'é'.repeat(100), '部'.repeat(100), '😀'.repeat(100), '%'.repeat(100), '/'.repeat(100)],
  ])('finds and pages the type “%s”', async (type) => {
    const older = await createEvent(api, { event_type: type, timestamp: '2026-01-01T00:00:00Z' });
    const newer = await createEvent(api, { event_type: type, timestamp: '2026-01-02T00:00:00Z' });
    expect((await list(pathOf(type))).body).toEqual([newer.body, older.body]);
    const first = await list(`${pathOf(type)}?limit=1`);
    expect(first.body).toEqual([newer.body]);
    const second = await list(nextLink(first) ?? '');
    expect(second.body).toEqual([older.body]);
    expect(nextLink(second)).toBeUndefined();
  });

  // Not taken any more, but an adopted table may have them.
  it.each([' ', '\u202e', '\ufeff', '\u007f', '\u001b[2J'])('finds the stored type %j', async (type) => {
    await api.sql(`INSERT INTO system_events (event_type, severity, message) VALUES ($1, 'info', 'old')`, [type]);
    expect((await list(pathOf(type))).body).toMatchObject([{ event_type: type, message: 'old' }]);
  });

  it('links from the first, cached page to the rest', async () => {
    await api.sql(
      `INSERT INTO system_events (event_type, severity, message)
       SELECT 'many', 'info', n::text FROM generate_series(1, 250) AS n`,
    );
    for (const read of ['loaded', 'cached']) {
      const messages: string[] = [];
      for (let next: string | undefined = '/api/events/type/many'; next !== undefined;) {
        const page = await list(next);
        messages.push(...page.body.map(({ message }) => message));
        next = nextLink(page);
      }
      expect([read, messages]).toEqual([read, Array.from({ length: 250 }, (_, index) => String(250 - index))]);
    }
  });

  it('shows each change at once, though the first page is cached', async () => {
    const messages = async (type: string): Promise<string[]> =>
      (await list(pathOf(type))).body.map(({ message }) => message);
    for (let round = 0; round < 5; round++) {
      const [from, to] = [`from-${round}`, `to-${round}`];
      expect([await messages(from), await messages(to)]).toEqual([[], []]);
      const { body } = await createEvent(api, { event_type: from, message: 'new' });
      expect([await messages(from), await messages(to)]).toEqual([['new'], []]);
      const url = `${api.url}/api/events/${body.id}`;
      await send('PUT', url, { json: { message: 'changed' } });
      expect([await messages(from), await messages(to)]).toEqual([['changed'], []]);
      await send('PATCH', url, { json: { event_type: to } });
      expect([await messages(from), await messages(to)]).toEqual([[], ['changed']]);
      await send('DELETE', url);
      expect([await messages(from), await messages(to)]).toEqual([[], []]);
    }
  });

  it.each([
    ['101 characters', 'x'.repeat(101)],
    ['101 wide characters', '部'.repeat(101)],
    ['101 astral characters', '😀'.repeat(101)],
    ['15,000 characters', 'x'.repeat(15_000)],
    ['NUL', 'a\0b'],
  ])('answers 422 to a type of %s', async (_name, type) => {
    expectInvalid(await list(pathOf(type)), 'event_type');
  });

  it.each([
    ...['limit=0', 'limit=1001', 'limit=1e3', 'limit=', 'limit=1&limit=1', 'offset=-1', 'offset=2147483648', 'offset='],
    ...['event_type=x', 'severity=info', 'source=api', 'x', '=', '__proto__=x', 'constructor=x', 'hasOwnProperty=x'],
  ])('answers 422 to ?%s', async (query) => {
    expectInvalid(await list(`/api/events/type/deployment?${query}`), query.split('=', 1)[0] ?? '');
  });
});
