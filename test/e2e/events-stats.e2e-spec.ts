import { createEvent, expectInvalid, startEmptyApp, TIME, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import { until } from '../support/services';
import type { TestApp } from '../support/test-app';

interface Stats {
  total_events: number;
  events_by_severity: Record<string, number>;
  events_by_type: Record<string, number>;
  recent_events: number;
  last_event_timestamp: string | null;
}

const HOUR_MS = 60 * 60 * 1000;
const EMPTY: Stats = {
  total_events: 0,
  events_by_severity: { info: 0, warning: 0, error: 0, critical: 0 },
  events_by_type: {},
  recent_events: 0,
  last_event_timestamp: null,
};

const ago = (hours: number): string => new Date(Date.now() - hours * HOUR_MS).toISOString();

describe('GET /api/events/stats', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  // Through the API, so that nothing of the last test stays in the cache.
  afterEach(async () => {
    const events = (await send<EventBody[]>('GET', `${api.url}/api/events?limit=1000`)).body;
    for (const { id } of events) await send('DELETE', `${api.url}/api/events/${id}`);
    expect((await stats()).body).toEqual(EMPTY);
  });

  afterAll(() => api.close());

  const stats = (ending = ''): Promise<Answer<Stats>> => send('GET', `${api.url}/api/events/stats${ending}`);

  it.each(['', '/', '?'])('names everything without any event, path ending in “%s”', async (ending) => {
    const answer = await stats(ending);
    expect([answer.status, answer.body]).toEqual([200, EMPTY]);
    expect(Object.keys(answer.body)).toEqual(Object.keys(EMPTY));
    expect(Object.keys(answer.body.events_by_severity)).toEqual(['info', 'warning', 'error', 'critical']);
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(await send('HEAD', `${api.url}/api/events/stats`)).toMatchObject({ status: 200, text: '' });
  });

  it('counts all, by severity and by type', async () => {
    for (const [event_type, severity] of [
      ['deployment', 'info'],
      ['deployment', 'error'],
      ['deployment', 'info'],
      ['__proto__', 'critical'],
      ['a "type" of / any % script 😀', 'info'],
    ]) {
      await createEvent(api, { event_type, severity });
    }
    const { body, text } = await stats();
    expect(body).toMatchObject({
      total_events: 5,
      events_by_severity: { info: 3, warning: 0, error: 1, critical: 1 },
      recent_events: 5,
    });
    expect(Object.entries(body.events_by_type)).toEqual([
      ['deployment', 3],
      ['__proto__', 1],
      ['a "type" of / any % script 😀', 1],
    ]);
    expect(text).toBe((await stats()).text);
  });

  it('counts as recent what happened in the last 24 hours, by its own time', async () => {
    for (const hours of [0, 1, 23.9, 24.1, 1000, -0.1, -23]) await createEvent(api, { timestamp: ago(hours) });
    expect((await stats()).body).toMatchObject({ total_events: 7, recent_events: 3 });
  });

  it('tells the newest time, not the last one stored', async () => {
    const newest = ago(-2);
    for (const timestamp of [ago(5), newest, ago(100)]) await createEvent(api, { timestamp });
    expect((await stats()).body.last_event_timestamp).toBe(newest);
    expect(newest).toMatch(TIME);
  });

  it('names the 100 most frequent types and counts the others in the totals', async () => {
    // The rarest first, so that neither age nor id nor name gives the order.
    const types = Array.from({ length: 105 }, (_, index) => ({ type: `type-${(index * 37) % 105}`, count: index + 1 }));
    for (const { type, count } of types) {
      await api.sql(
        `INSERT INTO system_events (event_type, severity, message)
         SELECT $1, 'info', 'x' FROM generate_series(1, $2::int)`,
        [type, count],
      );
    }
    await createEvent(api, { event_type: 'once' });
    const { body } = await stats();
    const expected = types.slice(5).reverse();
    expect(Object.entries(body.events_by_type)).toEqual(expected.map(({ type, count }) => [type, count]));
    expect(body.total_events).toBe((105 * 106) / 2 + 1);
    await api.sql(`DELETE FROM system_events WHERE event_type <> 'once'`);
  });

  it('is right after each change, though it is cached', async () => {
    const seen = async (): Promise<unknown[]> => {
      const { total_events, events_by_severity, events_by_type, last_event_timestamp } = (await stats()).body;
      return [total_events, events_by_severity.info, events_by_severity.error, events_by_type, last_event_timestamp];
    };
    for (let round = 0; round < 5; round++) {
      expect(await seen()).toEqual([0, 0, 0, {}, null]);
      const { id, timestamp } = (await createEvent(api, { event_type: 'a' })).body;
      expect(await seen()).toEqual([1, 1, 0, { a: 1 }, timestamp]);
      const url = `${api.url}/api/events/${id}`;
      await send('PUT', url, { json: { severity: 'error' } });
      expect(await seen()).toEqual([1, 0, 1, { a: 1 }, timestamp]);
      const moved = { event_type: 'b', timestamp: '2026-01-01T00:00:00.000Z' };
      await send('PATCH', url, { json: moved });
      expect(await seen()).toEqual([1, 0, 1, { b: 1 }, moved.timestamp]);
      await send('DELETE', url);
    }
  });

  it('comes from the cache while nothing changes', async () => {
    await createEvent(api);
    const { text } = await stats();
    await api.sql(`INSERT INTO system_events (event_type, severity, message) VALUES ('unseen', 'info', 'x')`);
    expect((await stats()).text).toBe(text);
  });

  it.each(['x=1', 'limit=1', 'x', '=', 'severity=info', '__proto__=x', 'constructor=x'])(
    'answers 422 to the unknown parameter ?%s',
    async (query) => {
      expectInvalid(await stats(`?${query}`), query.split('=', 1)[0] ?? '');
    },
  );
});

describe('GET /api/events/stats, without a cache', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp({ CACHE: 'off' });
  });

  beforeEach(() => api.sql('TRUNCATE system_events'));

  afterAll(() => api.close());

  const stats = async (): Promise<Stats> => (await send<Stats>('GET', `${api.url}/api/events/stats`)).body;

  async function recentByScan(): Promise<number | undefined> {
    const [row] = await api.sql<{ count: number }>(
      `SELECT count(*)::int AS count FROM system_events
       WHERE "timestamp" > now() - interval '24 hours' AND "timestamp" <= now()`,
    );
    return row?.count;
  }

  // Around both ends of the 24 hours, an event every second. As time goes on they pass the ends: then the
  // scans before and after differ, and it is tried again.
  it('counts as recent what a scan finds, however the ends cut their minutes', async () => {
    await api.sql(
      `INSERT INTO system_events (event_type, severity, message, "timestamp")
       SELECT 'tick', 'info', 'x', now() - ends.hours * interval '1 hour' + i * interval '1 second'
       FROM (VALUES (0), (24)) AS ends (hours), generate_series(-150, 150) AS i`,
    );
    let compared = 0;
    await until(async () => {
      const before = await recentByScan();
      const { recent_events } = await stats();
      if (before !== (await recentByScan())) return false;
      expect(recent_events).toBe(before);
      compared++;
      return compared === 20;
    }, 'twenty answers were compared');
  });

  it('is right at once after changes of any kind, past the service too', async () => {
    const fill = `INSERT INTO system_events (event_type, severity, message) SELECT 'a', 'info', 'x' FROM generate_series(1, 10)`;
    const counts = async (): Promise<unknown[]> => {
      const { total_events, events_by_severity, events_by_type, recent_events } = await stats();
      return [total_events, events_by_severity, events_by_type, recent_events];
    };
    const none = { info: 0, warning: 0, error: 0, critical: 0 };
    await api.sql(fill);
    expect(await counts()).toEqual([10, { ...none, info: 10 }, { a: 10 }, 10]);
    await api.sql(`UPDATE system_events SET event_type = 'b', severity = 'error' WHERE id % 2 = 0`);
    expect(await counts()).toEqual([10, { ...none, info: 5, error: 5 }, { a: 5, b: 5 }, 10]);
    await api.sql(`UPDATE system_events SET "timestamp" = now() - interval '2 days' WHERE event_type = 'b'`);
    expect(await counts()).toEqual([10, { ...none, info: 5, error: 5 }, { a: 5, b: 5 }, 5]);
    await api.sql(`DELETE FROM system_events WHERE event_type = 'a'`);
    expect(await counts()).toEqual([5, { ...none, error: 5 }, { b: 5 }, 0]);
    await api.sql(`BEGIN; ${fill}; ROLLBACK`);
    expect(await counts()).toEqual([5, { ...none, error: 5 }, { b: 5 }, 0]);
    await api.sql(`BEGIN; TRUNCATE system_events; ${fill}; COMMIT`);
    expect(await counts()).toEqual([10, { ...none, info: 10 }, { a: 10 }, 10]);
    await api.sql('TRUNCATE system_events');
    expect(await stats()).toEqual(EMPTY);
  });
});
