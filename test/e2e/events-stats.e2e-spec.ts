import { createEvent, expectInvalid, startEmptyApp, TIME, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
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
