import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Client } from 'pg';
import {
  countEvents,
  createEvent,
  expectInvalid,
  expectProblem,
  startEmptyApp,
  type EventBody,
} from '../support/events';
import { send, type Answer } from '../support/http';
import { until } from '../support/services';
import type { TestApp } from '../support/test-app';

const FILTERS = 'since, until, event_type, severity, min_severity, source, q, details[<path>], detail';

interface Deletion {
  deleted: number;
}

describe('DELETE /api/events', () => {
  let api: TestApp;

  beforeAll(async () => {
    // A test holds a lock for as long as it needs.
    api = await startEmptyApp({ DATABASE_LOCK_TIMEOUT_MS: '60000' });
  });

  beforeEach(() => api.sql('TRUNCATE system_events'));

  afterAll(() => api.close());

  const remove = (query: string): Promise<Answer<Deletion>> => send('DELETE', `${api.url}/api/events?${query}`);
  const get = (id: number): Promise<Answer> => send('GET', `${api.url}/api/events/${id}`);

  /** Events, half of them errors, a third of type `t0`, one a second. */
  const fill = (count: number): Promise<unknown> =>
    api.sql(
      `INSERT INTO system_events (event_type, severity, message, details, source, "timestamp")
       SELECT 't' || n % 3, CASE n % 2 WHEN 0 THEN 'error' ELSE 'info' END, 'number ' || n,
              jsonb_build_object('n', n % 10), 's' || n % 5, '2026-01-01Z'::timestamptz + n * interval '1 second'
       FROM generate_series(0, $1::int - 1) AS n`,
      [count],
    );

  const messages = async (): Promise<string[]> =>
    (await api.sql<{ message: string }>('SELECT message FROM system_events ORDER BY id')).map(({ message }) => message);

  /** Makes every deletion of more than `most` rows in all fail, as a database does that goes away. */
  async function failAfter(most: number): Promise<void> {
    await api.sql('CREATE TABLE deletions (rows bigint)');
    await api.sql(`
      CREATE FUNCTION fail_after() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO deletions SELECT count(*) FROM gone;
        IF (SELECT sum(rows) FROM deletions) > ${most} THEN
          RAISE 'away' USING ERRCODE = '57P01';
        END IF;
        RETURN NULL;
      END $$`);
    await api.sql(`
      CREATE TRIGGER fail_after AFTER DELETE ON system_events REFERENCING OLD TABLE AS gone
      FOR EACH STATEMENT EXECUTE FUNCTION fail_after()`);
  }

  async function failNoMore(): Promise<void> {
    await api.sql('DROP FUNCTION IF EXISTS fail_after CASCADE');
    await api.sql('DROP TABLE IF EXISTS deletions');
  }

  it.each([
    ['event_type=t0', 10],
    ['event_type=t0&event_type=t1', 20],
    ['severity=error', 15],
    ['min_severity=warning', 15],
    ['min_severity=info', 30],
    ['severity=info&min_severity=error', 0],
    ['source=s1&severity=error', 3],
    ['since=2026-01-01T00:00:20Z', 10],
    ['until=2026-01-01T00:00:20Z', 20],
    ['since=2026-01-01T00:00:05Z&until=2026-01-01T00:00:06Z', 1],
    ['q=%22number+7%22', 1],
    ['details.n=3&details.n=4', 6],
    ['until=1d', 30],
    ['until=36500d', 0],
    ['event_type=unknown', 0],
  ])('deletes what ?%s finds and nothing else; dry_run=true tells before', async (query, count) => {
    await fill(30);
    const found = await send<EventBody[]>('GET', `${api.url}/api/events?limit=1000&${query}`);
    expect(found.body).toHaveLength(count);
    for (const dry of ['dry_run=true&', '']) {
      expect(await countEvents(api)).toBe(30);
      const answer = await remove(dry + query);
      expect([answer.status, answer.text]).toEqual([200, JSON.stringify({ deleted: count })]);
      expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    }
    const gone = new Set(found.body.map(({ message }) => message));
    const kept = Array.from({ length: 30 }, (_, n) => `number ${n}`).filter((message) => !gone.has(message));
    expect(await messages()).toEqual(kept);
    expect((await remove(query)).body).toEqual({ deleted: 0 });
  });

  it.each(['', 'dry_run=true', 'dry_run=false'])(
    'refuses to delete everything for want of a filter: ?%s',
    async (query) => {
      await fill(3);
      const { errors } = expectInvalid(await remove(query), 'since');
      expect(errors?.[0]?.detail).toBe(`at least one filter is required: ${FILTERS}`);
      expect(await countEvents(api)).toBe(3);
    },
  );

  it('refuses what it does not know, and deletes nothing then', async () => {
    await fill(3);
    for (const [query, ...names] of [
      ['severity=error&dry_run=1', 'dry_run'],
      ['severity=error&dry_run=', 'dry_run'],
      ['severity=error&dry_run=TRUE', 'dry_run'],
      ['severity=error&dry_run=toString', 'dry_run'],
      ['severity=error&dry_run=false&dry_run=true', 'dry_run'],
      ['severity=error&limit=1', 'limit'],
      ['severity=error&offset=0', 'offset'],
      ['severity=error&cursor=x', 'cursor'],
      ['severity=error&sort=timestamp', 'sort'],
      ['severity=error&count=exact', 'count'],
      ['severity=error&sevrity=info', 'sevrity'],
      ['severity=fatal', 'severity'],
      ['since=1h&until=2h', 'until'],
      ['event_type=', 'event_type'],
      ['q=-', 'q'],
      ['details.=1', 'details.'],
    ] as const) {
      expectInvalid(await remove(query), ...names);
    }
    expect(await countEvents(api)).toBe(3);
  });

  it('ignores a JSON body, which is no filter', async () => {
    await fill(3);
    const url = `${api.url}/api/events`;
    expectInvalid(await send('DELETE', url, { json: { severity: 'error' } }), 'since');
    expectProblem(
      await send('DELETE', `${url}?severity=error`, { body: 'x', headers: { 'content-type': 'a/b' } }),
      415,
    );
    expect(await countEvents(api)).toBe(3);
    const answer = await send('DELETE', `${url}/?severity=error`, { json: { severity: 'info' } });
    expect(answer.body).toEqual({ deleted: 2 });
    expect(await messages()).toEqual(['number 1']);
  });

  it.each([999, 1000, 1001, 2000, 2500])('deletes %i events, in chunks', async (count) => {
    await fill(count);
    await createEvent(api, { message: 'kept' });
    expect((await remove('until=2026-02-01T00:00:00Z')).body).toEqual({ deleted: count });
    expect(await messages()).toEqual(['kept']);
  });

  it('deletes events of one time, and by words, in chunks', async () => {
    await fill(2500);
    await api.sql(`UPDATE system_events SET "timestamp" = '2026-01-01Z'`);
    await createEvent(api, { message: 'kept' });
    expect((await remove('q=number')).body).toEqual({ deleted: 2500 });
    expect(await messages()).toEqual(['kept']);
  });

  it('makes what is cached of the events void: each, their types and the counts', async () => {
    const ids: number[] = [];
    for (const type of ['a', 'b', 'a']) ids.push((await createEvent(api, { event_type: type })).body.id);
    const read = async (): Promise<unknown> => ({
      statuses: await Promise.all(ids.map(async (id) => (await get(id)).status)),
      a: (await send<EventBody[]>('GET', `${api.url}/api/events/type/a`)).body.length,
      b: (await send<EventBody[]>('GET', `${api.url}/api/events/type/b`)).body.length,
      total: (await send<{ total_events: number }>('GET', `${api.url}/api/events/stats`)).body.total_events,
    });
    const before = { statuses: [200, 200, 200], a: 2, b: 1, total: 3 };
    expect([await read(), await read()]).toEqual([before, before]);
    await remove('event_type=a&dry_run=true');
    expect(await read()).toEqual(before);
    await remove('event_type=a');
    expect(await read()).toEqual({ statuses: [404, 200, 404], a: 0, b: 1, total: 1 });
  });

  it('tells what was deleted before the database went away, and serves none of it', async () => {
    await fill(2500);
    const [oldest, next] = (await send<EventBody[]>('GET', `${api.url}/api/events?sort=timestamp&limit=1000`)).body;
    for (const { id } of [oldest, next] as EventBody[]) expect((await get(id)).status).toBe(200);
    await failAfter(1500);
    try {
      const problem = expectProblem(await remove('until=2026-02-01T00:00:00Z'), 503);
      expect(problem.detail).toMatch(/ 1000 events were deleted before\.$/);
      expect(await countEvents(api)).toBe(1500);
      for (const { id } of [oldest, next] as EventBody[]) expect((await get(id)).status).toBe(404);
      const first = expectProblem(await remove('until=2026-02-01T00:00:00Z'), 503);
      expect(first.detail).not.toMatch(/deleted/);
    } finally {
      await failNoMore();
    }
    expect((await remove('until=2026-02-01T00:00:00Z')).body).toEqual({ deleted: 1500 });
  });

  it('ends after the chunk in progress when the caller leaves, and serves none of it', async () => {
    await fill(5000);
    const [oldest] = (await send<EventBody[]>('GET', `${api.url}/api/events?sort=timestamp&limit=1`)).body;
    const id = oldest?.id ?? 0;
    expect((await get(id)).status).toBe(200);
    const blocker = new Client({ connectionString: api.databaseUrl });
    await blocker.connect();
    try {
      await blocker.query('BEGIN');
      await blocker.query('SELECT FROM system_events WHERE id = $1 FOR UPDATE', [id]);
      const accepted = once(api.app.getHttpServer(), 'connection') as Promise<[Socket]>;
      const { hostname, port } = new URL(api.url);
      const caller = connect(Number(port), hostname);
      caller.write('DELETE /api/events?min_severity=info HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await until(async () => (await waiting()) === 1, 'the first chunk waits for the lock');
      const [connection] = await accepted;
      const left = once(connection, 'close');
      caller.destroy();
      await left;
      await blocker.query('COMMIT');
      await until(async () => (await countEvents(api)) === 4000, 'the first chunk is deleted');
      await until(async () => (await get(id)).status === 404, 'the event is gone from the cache');
      expect((await remove('min_severity=info&dry_run=true')).body).toEqual({ deleted: 4000 });
    } finally {
      await blocker.end();
    }
  });

  const waiting = async (): Promise<number> => {
    const [row] = await api.sql<{ count: number }>(
      `SELECT count(*)::int AS count FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'eventdeck'`,
    );
    return row?.count ?? 0;
  };

  it('leaves an event that is taken out of the filter meanwhile', async () => {
    await fill(10);
    const [event] = (await send<EventBody[]>('GET', `${api.url}/api/events?severity=error&limit=1`)).body;
    const blocker = new Client({ connectionString: api.databaseUrl });
    await blocker.connect();
    try {
      await blocker.query('BEGIN');
      await blocker.query(`UPDATE system_events SET severity = 'critical' WHERE id = $1`, [event?.id]);
      const removing = remove('severity=error');
      await until(async () => (await waiting()) === 1, 'the chunk waits for the lock');
      await blocker.query('COMMIT');
      expect((await removing).body).toEqual({ deleted: 4 });
      expect(await messages()).toContain(event?.message);
    } finally {
      await blocker.end();
    }
  });

  it('leaves what is stored after it began', async () => {
    await fill(1500);
    const [oldest] = (await send<EventBody[]>('GET', `${api.url}/api/events?sort=timestamp&limit=1`)).body;
    const blocker = new Client({ connectionString: api.databaseUrl });
    await blocker.connect();
    try {
      await blocker.query('BEGIN');
      await blocker.query('SELECT FROM system_events WHERE id = $1 FOR UPDATE', [oldest?.id]);
      const removing = remove('min_severity=info');
      await until(async () => (await waiting()) === 1, 'the first chunk waits for the lock');
      await createEvent(api, { message: 'late' });
      await blocker.query('COMMIT');
      expect((await removing).body).toEqual({ deleted: 1500 });
      expect(await messages()).toEqual(['late']);
    } finally {
      await blocker.end();
    }
  });

  it('ends while events that the filter finds are stored', async () => {
    await fill(3000);
    let storing = true;
    let stored = 0;
    const writers = [1, 2, 3, 4].map(async () => {
      for (; storing; stored++) await createEvent(api, { severity: 'error', message: 'new' });
    });
    const { body } = await remove('severity=error&severity=info');
    storing = false;
    await Promise.all(writers);
    expect(body.deleted).toBeGreaterThanOrEqual(3000);
    expect(body.deleted + (await countEvents(api))).toBe(3000 + stored);
    expect((await messages()).every((message) => message === 'new')).toBe(true);
  });

  it('goes well with others of its kind', async () => {
    await fill(6000);
    const answers = await Promise.all(
      ['severity=error', 'event_type=t0', 'q=number', 'details.n=3', 'min_severity=info', 'source=s1'].map(remove),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(answers.reduce((sum, { body }) => sum + body.deleted, 0)).toBe(6000);
    expect(await countEvents(api)).toBe(0);
  });
});
