import { createEvent, expectInvalid, nextLink, startEmptyApp, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import type { TestApp } from '../support/test-app';

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const decode = (cursor: string): unknown[] =>
  JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown[];

describe('the cursor of GET /api/events', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  beforeEach(() => api.sql('TRUNCATE system_events'));

  afterAll(() => api.close());

  const list = (query: string): Promise<Answer<EventBody[]>> => send('GET', `${api.url}/api/events?${query}`);

  /** Events of which many have one time. */
  const fill = (count: number, times: number, type = 'steady'): Promise<unknown> =>
    api.sql(
      `INSERT INTO system_events (event_type, severity, message, "timestamp")
       SELECT $3, 'info', n::text, '2026-01-01Z'::timestamptz + (n * 7919 % $2::int) * interval '1 millisecond'
       FROM generate_series(1, $1::int) AS n`,
      [count, times, type],
    );

  /** The ids of every page from `query` on; `between` runs before each next page. */
  async function follow(query: string, between?: (page: EventBody[]) => Promise<unknown>): Promise<number[]> {
    const found: number[] = [];
    for (let next: string | undefined = `/api/events?${query}`; next !== undefined;) {
      const page: Answer<EventBody[]> = await send('GET', api.url + next);
      expect([next, page.status]).toEqual([next, 200]);
      found.push(...page.body.map(({ id }) => id));
      next = nextLink(page);
      if (next !== undefined) await between?.(page.body);
    }
    return found;
  }

  const idsInOrder = async (direction: 'ASC' | 'DESC', type = 'steady'): Promise<number[]> => {
    const rows = await api.sql<{ id: string }>(
      `SELECT id FROM system_events WHERE event_type = $1 ORDER BY "timestamp" ${direction}, id ${direction}`,
      [type],
    );
    return rows.map(({ id }) => Number(id));
  };

  const cursorOf = (answer: Answer): string =>
    new URLSearchParams(nextLink(answer)?.split('?')[1]).get('cursor') ?? 'there is none';

  it.each([
    ['-timestamp', 'DESC', 1],
    ['-timestamp', 'DESC', 2],
    ['-timestamp', 'DESC', 50],
    ['timestamp', 'ASC', 1],
    ['timestamp', 'ASC', 3],
    ['timestamp', 'ASC', 50],
  ] as const)('shows every event once: sort=%s, %s, over %i times', async (sort, direction, times) => {
    await fill(500, times);
    const expected = await idsInOrder(direction);
    expect(await follow(`sort=${sort}&limit=7`)).toEqual(expected);
    expect(await follow(`sort=${sort}&limit=500`)).toEqual(expected);
    expect(await follow(`sort=${sort}&limit=101&severity=info`)).toEqual(expected);
    expect(await follow(`sort=${sort}&limit=99&offset=3`)).toEqual(expected.slice(3));
  });

  it('shows what was there all the time once, while others are stored and deleted', async () => {
    await fill(300, 4);
    for (const [sort, direction] of [
      ['-timestamp', 'DESC'],
      ['timestamp', 'ASC'],
    ] as const) {
      const steady = await idsInOrder(direction);
      const found = await follow(`sort=${sort}&limit=20`, async () => {
        await fill(40, 4, 'passing');
        await api.sql(`DELETE FROM system_events WHERE event_type = 'passing' AND id % 2 = 0`);
      });
      const known = new Set(steady);
      expect(found.filter((id) => known.has(id))).toEqual(steady);
      expect(new Set(found).size).toBe(found.length);
      await api.sql(`DELETE FROM system_events WHERE event_type = 'passing'`);
    }
  });

  it('goes on behind an event that was deleted or changed meanwhile', async () => {
    await fill(30, 3);
    const expected = await idsInOrder('DESC');
    const found = await follow('limit=10', async (page) => {
      await send('DELETE', `${api.url}/api/events/${page.at(-1)?.id}`);
    });
    expect(found).toEqual(expected);
  });

  it('keeps relative times, which mean another moment on each page', async () => {
    for (let index = 0; index < 6; index++) await createEvent(api, { message: `${index}` });
    const first = await list('since=24h&until=0s&limit=2');
    expect(nextLink(first)).toMatch(/^\/api\/events\?since=24h&until=0s&limit=2&cursor=[\w-]+$/);
    expect(await follow('since=24h&until=0s&limit=2')).toHaveLength(6);
  });

  it('keeps times before 1970', async () => {
    await api.sql(
      `INSERT INTO system_events (event_type, severity, message, "timestamp")
       SELECT 'steady', 'info', 'old', t FROM unnest($1::timestamptz[]) AS t`,
      [['0001-01-01T00:00:00Z', '1969-12-31T23:59:59.999Z', '1582-10-10T12:00:00.5Z', '9999-12-31T23:59:59.999Z']],
    );
    expect(await follow('limit=1')).toEqual(await idsInOrder('DESC'));
    expect(await follow('limit=1&sort=timestamp')).toEqual(await idsInOrder('ASC'));
  });

  it('may come with another limit', async () => {
    await fill(30, 5);
    const cursor = cursorOf(await list('limit=10'));
    const rest = await list(`limit=100&cursor=${cursor}`);
    expect(rest.body.map(({ id }) => id)).toEqual((await idsInOrder('DESC')).slice(10));
    expect(nextLink(rest)).toBeUndefined();
  });

  it('carries its sort', async () => {
    await fill(30, 5);
    const cursor = cursorOf(await list('limit=10&sort=timestamp'));
    const expected = (await idsInOrder('ASC')).slice(10);
    expect((await list(`cursor=${cursor}`)).body.map(({ id }) => id)).toEqual(expected);
    expect((await list(`cursor=${cursor}&sort=timestamp`)).body.map(({ id }) => id)).toEqual(expected);
    expectInvalid(await list(`cursor=${cursor}&sort=-timestamp`), 'cursor');
  });

  it('belongs to its filters', async () => {
    await fill(30, 5);
    for (const filters of [
      ...['since=24h', 'until=0s', 'event_type=steady', 'severity=info', 'min_severity=info', 'source=api', 'q=1'],
      ...['details.a=1', 'event_type=steady&event_type=x', 'since=2026-01-01T00:00:00Z'],
    ]) {
      const own = cursorOf(await list('limit=10'));
      expectInvalid(await list(`cursor=${own}&${filters}`), 'cursor');
    }
    const filtered = cursorOf(await list('limit=10&event_type=steady&since=2026-01-01T00:00:00Z'));
    for (const filters of ['', 'event_type=steady', 'event_type=x&since=2026-01-01T00:00:00Z', 'since=24h']) {
      expectInvalid(await list(`cursor=${filtered}&${filters}`), 'cursor');
    }
    const typed = cursorOf(await send('GET', `${api.url}/api/events/type/steady?limit=10`));
    expectInvalid(await send('GET', `${api.url}/api/events/type/other?cursor=${typed}`), 'cursor');
    expect((await send('GET', `${api.url}/api/events/type/steady?cursor=${typed}`)).status).toBe(200);
  });

  it('stands alone: no offset, not twice', async () => {
    await fill(30, 5);
    const cursor = cursorOf(await list('limit=10'));
    for (const offset of [0, 5]) expectInvalid(await list(`cursor=${cursor}&offset=${offset}`), 'cursor');
    expectInvalid(await list(`cursor=${cursor}&cursor=${cursor}`), 'cursor');
  });

  it('is refused when it was made by hand', async () => {
    await fill(30, 5);
    const cursor = cursorOf(await list('limit=10'));
    const [sort, print, time, id] = decode(cursor) as [string, string, number, number];
    expect(encode([sort, print, time, id])).toBe(cursor);
    expect((await list(`cursor=${encode([sort, print, time + 1, id + 1])}`)).status).toBe(200);
    const forged: unknown[] = [
      ...[null, 1, 'text', {}, [], [sort], [sort, print, time], [sort, print, time, id, 1]],
      ...['-id', '', null, 1, [sort], 'constructor'].map((other) => [other, print, time, id]),
      ...['x', '', null, 1, {}, print.toUpperCase(), [print]].map((other) => [sort, other, time, id]),
      ...['5', String(time), null, 1.5, true, [time], {}, 1e300, -1e300, 8.64e15, -62135596800001, 253402300800000].map(
        (other) => [sort, print, other, id],
      ),
      ...['5', null, 1.5, 2 ** 53, -(2 ** 53), 1e300, [id], {}, true].map((other) => [sort, print, time, other]),
    ];
    const texts = [
      ...forged.map(encode),
      ...[
        '',
        'x',
        '0',
        'AAAA',
        '....',
        '%00',
        '%F0%9F%98%80',
        'null',
        'undefined',
        cursor.slice(1),
        cursor.slice(0, -1),
      ],
      ...[
        `${cursor}A`,
        `${cursor}=`,
        `${cursor}%3D`,
        `${cursor}%0A`,
        `%20${cursor}`,
        `${cursor}!`,
        cursor.toUpperCase(),
      ],
      ...['W'.repeat(5000), encode(Array.from({ length: 3000 }, () => 1)), '__proto__', 'WyIiXQ'],
    ];
    for (const text of texts) {
      const answer = await list(`cursor=${text}`);
      expect([text, answer.status]).toEqual([text, 422]);
      expectInvalid(answer, 'cursor');
    }
  });

  it.each(['', '-', 'id', '-id', 'timestamp,id', '+timestamp', 'TIMESTAMP', 'timestamp%00', 'desc', 'toString'])(
    'refuses sort=%s',
    async (sort) => {
      expectInvalid(await list(`sort=${sort}`), 'sort');
    },
  );

  it('refuses sort twice', async () => {
    expectInvalid(await list('sort=timestamp&sort=timestamp'), 'sort');
  });
});
