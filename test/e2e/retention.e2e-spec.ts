import { Client } from 'pg';
import { query, takeAway, useDatabases, type TestDatabase } from '../support/databases';
import { createEvent, expectInvalid, expectProblem, TIME, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import { until } from '../support/services';
import { startApp, type TestApp } from '../support/test-app';

interface Retention {
  policy: Record<string, number>;
  last_run: { at: string; deleted: number; ms: number } | null;
  next_run: string | null;
}

interface Run {
  id: string;
  started_at: Date;
  expires_at: Date;
  ended_at: Date | null;
  deleted: string;
}

const read = (api: TestApp): Promise<Answer<Retention>> => send('GET', `${api.url}/api/events/retention`);
const lastRun = async (api: TestApp): Promise<Retention['last_run']> => (await read(api)).body.last_run;
const isOver = (api: TestApp): Promise<void> => until(async () => (await lastRun(api)) !== null, 'the run is over');

const runsOf = (url: string): Promise<Run[]> => query<Run>(url, 'SELECT * FROM retention_runs ORDER BY id');

/** Events of the tests; the service's own are of other types. */
async function messages(url: string): Promise<string[]> {
  const sql = `SELECT message FROM system_events WHERE event_type = 'old' ORDER BY "timestamp", id`;
  return (await query<{ message: string }>(url, sql)).map(({ message }) => message);
}

/** Stores events of 90 days and less, a second after another; their messages count from 1. */
const storeOld = (url: string, count: number): Promise<unknown> =>
  query(
    url,
    `INSERT INTO system_events (event_type, severity, message, "timestamp")
     SELECT 'old', 'info', i, now() - interval '90 days' + i * interval '1 second' FROM generate_series(1, $1::int) AS i`,
    [count],
  );

/** Counts the attempts to begin a run, also those in vain. */
async function countAttempts(url: string): Promise<() => Promise<number>> {
  await query(url, 'CREATE TABLE attempts ()');
  await query(
    url,
    `CREATE FUNCTION note_attempt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO attempts DEFAULT VALUES; RETURN NULL; END $$`,
  );
  await query(
    url,
    'CREATE TRIGGER note_attempt AFTER INSERT ON retention_runs FOR EACH STATEMENT EXECUTE FUNCTION note_attempt()',
  );
  return async () => (await query(url, 'SELECT FROM attempts')).length;
}

describe('retention', () => {
  const open: TestApp[] = [];
  const clients: Client[] = [];
  // In this order: what uses a database ends before it goes.
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.end()));
    await Promise.all(open.splice(0).map((api) => api.close()));
  });
  const createDatabase = useDatabases();

  const start = async (database: TestDatabase, variables: Record<string, string> = {}): Promise<TestApp> => {
    const api = await startApp({ CACHE: 'off', ...variables }, database);
    open.push(api);
    return api;
  };

  const close = async (api: TestApp): Promise<void> => {
    open.splice(open.indexOf(api), 1);
    await api.close();
  };

  /** Holds one event, so that a chunk with it waits, until the function that it returns is called. */
  const holdEvent = async (url: string, message: string): Promise<() => Promise<void>> => {
    const client = new Client({ connectionString: url });
    // Taken away with the database.
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    await client.query('BEGIN');
    await client.query('SELECT FROM system_events WHERE message = $1 FOR UPDATE', [message]);
    return async () => void (await client.query('ROLLBACK'));
  };

  const chunksWait = (url: string, count: number): Promise<void> =>
    until(
      async () =>
        (
          await query(
            url,
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'`,
          )
        ).length === count,
      `${count} chunks wait`,
    );

  it('deletes by severity what is older than its days, and nothing of a severity without', async () => {
    const database = await createDatabase();
    await query(
      database.url,
      `INSERT INTO system_events (event_type, severity, message, "timestamp")
       SELECT 'old', severity, severity || ' ' || days, now() - make_interval(days => days)
       FROM unnest(ARRAY[400, 100, 15, 5]) AS days, unnest(ARRAY['info', 'warning', 'error', 'critical']) AS severity`,
    );
    const api = await start(database, { RETENTION_DAYS: 'error=365,info=10' });
    await isOver(api);
    expect(await messages(database.url)).toEqual([
      ...['warning 400', 'critical 400', 'warning 100', 'error 100', 'critical 100'],
      ...['warning 15', 'error 15', 'critical 15', 'info 5', 'warning 5', 'error 5', 'critical 5'],
    ]);
    const { status, body } = await read(api);
    expect(status).toBe(200);
    expect(body).toEqual({
      policy: { info: 10, error: 365 },
      last_run: { at: expect.stringMatching(TIME) as string, deleted: 4, ms: expect.any(Number) as number },
      next_run: expect.stringMatching(TIME) as string,
    });
    expect(Date.parse(body.next_run ?? '') - Date.parse(body.last_run?.at ?? '')).toBe(3_600_000);
  });

  it('keeps an event of exactly so many days, and deletes one that is a millisecond older', async () => {
    const database = await createDatabase();
    // The clock of the database stands still; what the tables have as defaults is the real one.
    await query(
      database.url,
      `CREATE FUNCTION now() RETURNS timestamptz STABLE LANGUAGE sql AS $$ SELECT timestamptz '2026-04-10T12:00:00.1239Z' $$`,
    );
    const name = new URL(database.url).pathname.slice(1);
    await query(database.url, `ALTER DATABASE ${name} SET search_path = public, pg_catalog`);
    // Between the two, clocks change in most zones.
    await query(database.url, `ALTER DATABASE ${name} SET timezone = 'Europe/Berlin'`);
    await query(
      database.url,
      `INSERT INTO system_events (event_type, severity, message, "timestamp")
       VALUES ('old', 'info', 'older', '2026-03-11T12:00:00.122Z'), ('old', 'info', 'exactly', '2026-03-11T12:00:00.123Z'),
              ('old', 'error', 'a day', '2026-04-09T12:00:00.123Z'), ('old', 'error', 'older', '2026-04-09T12:00:00.122Z')`,
    );
    const api = await start(database, { RETENTION_DAYS: 'info=30,error=1' });
    await isOver(api);
    expect(await messages(database.url)).toEqual(['exactly', 'a day']);
  });

  it('keeps everything where nothing is set, and tells that', async () => {
    const database = await createDatabase();
    await storeOld(database.url, 3);
    const keeping = await start(database, { RETENTION_INTERVAL_SECONDS: '1' });
    expect((await read(keeping)).body).toEqual({ policy: {}, last_run: null, next_run: null });
    const other = await start(database, { RETENTION_DAYS: 'critical=1', RETENTION_INTERVAL_SECONDS: '1' });
    await until(async () => (await runsOf(database.url)).length === 3, 'the other process ran some times');
    expect(await messages(database.url)).toEqual(['1', '2', '3']);
    expect((await read(keeping)).body).toMatchObject({ policy: {}, last_run: { deleted: 0 }, next_run: null });
    expect((await read(other)).body.policy).toEqual({ critical: 1 });
  });

  it('takes a single number for all severities', async () => {
    const database = await createDatabase();
    const api = await start(database, { RETENTION_DAYS: '30' });
    expect((await read(api)).body.policy).toEqual({ info: 30, warning: 30, error: 30, critical: 30 });
  });

  it.each([
    [2500, [1000, 1000, 500]],
    [2000, [1000, 1000]],
  ])('deletes %d events in transactions of at most 1000, the oldest first', async (count, chunks) => {
    const database = await createDatabase();
    await storeOld(database.url, count);
    await query(database.url, 'CREATE TABLE chunks (transaction xid8, first int, last int, size int)');
    await query(
      database.url,
      `CREATE FUNCTION note_chunk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO chunks SELECT pg_current_xact_id(), min(message::int), max(message::int), count(*) FROM deleted HAVING count(*) > 0;
         RETURN NULL; END $$`,
    );
    await query(
      database.url,
      'CREATE TRIGGER note_chunk AFTER DELETE ON system_events REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION note_chunk()',
    );
    const api = await start(database, { RETENTION_DAYS: 'info=30' });
    await isOver(api);
    const noted = await query<{ transaction: string; first: number; last: number; size: number }>(
      database.url,
      'SELECT * FROM chunks ORDER BY transaction',
    );
    expect(noted.map(({ size }) => size)).toEqual(chunks);
    expect(noted.map(({ first, last, size }) => last - first + 1 - size)).toEqual(chunks.map(() => 0));
    expect(noted.map(({ first }) => first)).toEqual(chunks.map((_, index) => index * 1000 + 1));
    expect(new Set(noted.map(({ transaction }) => transaction)).size).toBe(chunks.length);
    expect(await lastRun(api)).toMatchObject({ deleted: count });
    expect(await messages(database.url)).toEqual([]);
  });

  it('leaves no cached answer of what it deleted, in any process', async () => {
    const database = await createDatabase();
    const prefix = { CACHE: 'redis', CACHE_PREFIX: `test-${new URL(database.url).pathname.slice(1)}:` };
    const caching = await start(database, prefix);
    const timestamp = new Date(Date.now() - 40 * 86_400_000).toISOString();
    const { body: old } = await createEvent(caching, { event_type: 'old', timestamp });
    const { body: young } = await createEvent(caching, { event_type: 'old' });
    const answers = (): Promise<Answer[]> =>
      Promise.all(
        [`${old.id}`, `${young.id}`, 'type/old', 'stats'].map((path) =>
          send('GET', `${caching.url}/api/events/${path}`),
        ),
      );
    await answers();
    // From now on only the cache knows it: an answer that still has it would be one of the cache.
    expect((await answers()).map(({ status }) => status)).toEqual([200, 200, 200, 200]);

    const deleting = await start(database, { ...prefix, RETENTION_DAYS: '30' });
    await isOver(deleting);
    const [gone, there, list, stats] = (await answers()) as [Answer, Answer, Answer, Answer];
    expectProblem(gone, 404);
    expect(there.body).toEqual(young);
    expect((list.body as EventBody[]).map(({ id }) => id)).toEqual([young.id]);
    expect(stats.body).toMatchObject({ events_by_type: { old: 1 } });
  });

  it('runs again when it is due, at the same time in every process and after a restart', async () => {
    const database = await createDatabase();
    const attempts = await countAttempts(database.url);
    const first = await start(database, { RETENTION_DAYS: 'info=30' });
    await isOver(first);
    const { last_run, next_run } = (await read(first)).body;
    await close(first);

    await storeOld(database.url, 5);
    const second = await start(database, { RETENTION_DAYS: 'info=30' });
    await until(async () => (await attempts()) === 2, 'it looked whether a run is due');
    expect((await read(second)).body).toEqual({ policy: { info: 30 }, last_run, next_run });
    expect(await messages(database.url)).toHaveLength(5);
    await close(second);

    await query(database.url, `UPDATE retention_runs SET ended_at = ended_at - interval '1 hour'`);
    const third = await start(database, { RETENTION_DAYS: 'info=30' });
    await until(async () => (await messages(database.url)).length === 0, 'the old events are deleted');
    await until(async () => (await lastRun(third))?.deleted === 5, 'the run is over');
    expect((await runsOf(database.url)).map(({ deleted }) => deleted)).toEqual(['0', '5']);
  });

  it('tells that a run is due now when its time has passed', async () => {
    const database = await createDatabase();
    const api = await start(database, { RETENTION_DAYS: 'info=30' });
    await isOver(api);
    await query(database.url, `UPDATE retention_runs SET ended_at = ended_at - interval '5 hours'`);
    const before = (await query<{ now: Date }>(database.url, 'SELECT now() AS now'))[0]?.now ?? new Date(0);
    const { next_run } = (await read(api)).body;
    expect(Date.parse(next_run ?? '')).toBeGreaterThanOrEqual(before.getTime());
  });

  it('is done by one process at a time', async () => {
    const database = await createDatabase();
    await storeOld(database.url, 2500);
    const attempts = await countAttempts(database.url);
    const letGo = await holdEvent(database.url, '1500');
    const variables = { RETENTION_DAYS: 'info=30', RETENTION_INTERVAL_SECONDS: '1' };
    const apis = await Promise.all([
      start(database, variables),
      start(database, variables),
      start(database, variables),
    ]);
    await chunksWait(database.url, 1);
    await until(async () => (await attempts()) === 3, 'all of them looked whether a run is due');
    expect(await runsOf(database.url)).toMatchObject([{ ended_at: null, deleted: '1000' }]);
    await chunksWait(database.url, 1);
    expect((await read(apis[0])).body.last_run).toBeNull();
    await letGo();
    await until(async () => (await runsOf(database.url))[0]?.ended_at !== null, 'the run is over');
    expect((await runsOf(database.url))[0]).toMatchObject({ deleted: '2500' });
    for (const api of apis) expect(await lastRun(api)).not.toBeNull();

    await until(async () => (await runsOf(database.url)).length >= 4, 'later runs follow');
    const ended = (await runsOf(database.url)).filter(({ ended_at }) => ended_at !== null);
    for (const [index, { started_at }] of ended.slice(1).entries()) {
      // A second after the end of the one before.
      expect(started_at.getTime() - (ended[index]?.ended_at?.getTime() ?? 0)).toBeGreaterThanOrEqual(1000);
    }
  });

  it('goes on with the next one when a process was silent for too long', async () => {
    const database = await createDatabase();
    await storeOld(database.url, 2500);
    const letGo = await holdEvent(database.url, '1500');
    await start(database, { RETENTION_DAYS: 'info=30' });
    await chunksWait(database.url, 1);
    await query(database.url, `UPDATE retention_runs SET expires_at = now() - interval '1 millisecond'`);
    await start(database, { RETENTION_DAYS: 'info=30' });
    await chunksWait(database.url, 2);
    await letGo();
    await until(async () => (await runsOf(database.url))[1]?.ended_at != null, 'the second run is over');
    expect(await messages(database.url)).toEqual([]);
    const [lost, second, ...others] = await runsOf(database.url);
    expect([lost?.ended_at, lost?.deleted, others]).toEqual([null, '1000', []]);
    expect(Number(second?.deleted)).toBeLessThanOrEqual(1500);
  });

  it('ends after the chunk under way at a shutdown, and goes on at the next start', async () => {
    const database = await createDatabase();
    await storeOld(database.url, 3500);
    const letGo = await holdEvent(database.url, '1500');
    const api = await start(database, { RETENTION_DAYS: 'info=30' });
    await chunksWait(database.url, 1);
    const closed = close(api);
    const hasStopped = `SELECT FROM service_runs WHERE outcome = 'shutdown'`;
    await until(async () => (await query(database.url, hasStopped)).length === 1, 'the shutdown has begun');
    await letGo();
    await closed;
    expect((await messages(database.url))[0]).toBe('2001');
    expect(await runsOf(database.url)).toMatchObject([{ ended_at: null, deleted: '2000' }]);

    const next = await start(database, { RETENTION_DAYS: 'info=30' });
    await isOver(next);
    expect(await lastRun(next)).toMatchObject({ deleted: 1500 });
    expect(await messages(database.url)).toEqual([]);
  });

  it('survives a database that goes away', async () => {
    const database = await createDatabase();
    await storeOld(database.url, 2500);
    await holdEvent(database.url, '1500');
    const api = await start(database, { RETENTION_DAYS: 'info=30', RETENTION_INTERVAL_SECONDS: '1' });
    await chunksWait(database.url, 1);
    const bringBack = await takeAway(database.url);
    expectProblem(await read(api), 503);
    await bringBack();
    // As if the minute had passed after which a run that says nothing is lost.
    await query(database.url, 'UPDATE retention_runs SET expires_at = now()');
    await until(async () => ((await lastRun(api))?.deleted ?? 0) > 0, 'the rest is deleted');
    expect(await messages(database.url)).toEqual([]);
    expect(await runsOf(database.url)).toMatchObject([{ ended_at: null, deleted: '1000' }, { deleted: '1500' }]);
  });

  it('remembers the last 1000 runs', async () => {
    const database = await createDatabase();
    await query(
      database.url,
      `INSERT INTO retention_runs (started_at, expires_at, ended_at)
       SELECT now() - interval '2 days', now() - interval '2 days', now() - interval '2 days' FROM generate_series(1, 1010)`,
    );
    const api = await start(database, { RETENTION_DAYS: 'info=30' });
    await until(async () => (await runsOf(database.url)).at(-1)?.id === '1011', 'a run has begun');
    const runs = await runsOf(database.url);
    expect([runs.length, runs[0]?.id]).toEqual([1000, '12']);
    await close(api);
  });

  it('is told to who may read it, and only as it is asked for', async () => {
    const database = await createDatabase();
    const api = await start(database, { API_TOKEN: 'secret' });
    expectProblem(await read(api), 401);
    const headers = { authorization: 'Bearer secret' };
    expect((await send('GET', `${api.url}/api/events/retention/`, { headers })).status).toBe(200);
    expectInvalid(await send('GET', `${api.url}/api/events/retention?verbose=1`, { headers }), 'verbose');
    expectProblem(await send('DELETE', `${api.url}/api/events/retention`, { headers }), 405);
  });
});
