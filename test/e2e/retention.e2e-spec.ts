import { query, useDatabases } from '../support/databases';
import { createEvent, expectInvalid, expectProblem, TIME, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import { lastRun, messages, readRetention, runIsOver, runsOf, storeOld, useApps } from '../support/retention';
import { until } from '../support/services';

describe('retention', () => {
  const { start } = useApps();
  const createDatabase = useDatabases();
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('deletes by severity what is older than its days, and nothing of a severity without', async () => {
    const database = await createDatabase();
    await query(
      database.url,
      `INSERT INTO system_events (event_type, severity, message, "timestamp")
       SELECT 'old', severity, severity || ' ' || days, now() - make_interval(days => days)
       FROM unnest(ARRAY[400, 100, 15, 5]) AS days, unnest(ARRAY['info', 'warning', 'error', 'critical']) AS severity`,
    );
    const api = await start(database, { RETENTION_DAYS: 'error=365,info=10' });
    await runIsOver(api);
    expect(await messages(database.url)).toEqual([
      ...['warning 400', 'critical 400', 'warning 100', 'error 100', 'critical 100'],
      ...['warning 15', 'error 15', 'critical 15', 'info 5', 'warning 5', 'error 5', 'critical 5'],
    ]);
    const { status, body } = await readRetention(api);
    expect(status).toBe(200);
    expect(body).toEqual({
      policy: { info: 10, error: 365 },
      last_run: { at: expect.stringMatching(TIME) as string, deleted: 4, ms: expect.any(Number) as number },
      next_run: expect.stringMatching(TIME) as string,
      held: null,
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
    await query(database.url, `UPDATE database_clock SET trusted_at = now()`);
    jest.spyOn(Date, 'now').mockReturnValue(Date.parse('2026-04-10T12:00:00.123Z'));
    // Between the two, clocks change in most zones.
    await query(database.url, `ALTER DATABASE ${name} SET timezone = 'Europe/Berlin'`);
    await query(
      database.url,
      `INSERT INTO system_events (event_type, severity, message, "timestamp")
       VALUES ('old', 'info', 'older', '2026-03-11T12:00:00.122Z'), ('old', 'info', 'exactly', '2026-03-11T12:00:00.123Z'),
              ('old', 'error', 'a day', '2026-04-09T12:00:00.123Z'), ('old', 'error', 'older', '2026-04-09T12:00:00.122Z')`,
    );
    const api = await start(database, { RETENTION_DAYS: 'info=30,error=1' });
    await runIsOver(api);
    expect(await messages(database.url)).toEqual(['exactly', 'a day']);
  });

  it('keeps everything where nothing is set, and tells that', async () => {
    const database = await createDatabase();
    await storeOld(database.url, 3);
    const keeping = await start(database, { RETENTION_INTERVAL_SECONDS: '1' });
    expect((await readRetention(keeping)).body).toEqual({
      policy: {},
      last_run: null,
      next_run: null,
      held: null,
    });
    const other = await start(database, { RETENTION_DAYS: 'critical=1', RETENTION_INTERVAL_SECONDS: '1' });
    await until(async () => (await runsOf(database.url)).length === 3, 'the other process ran some times');
    expect(await messages(database.url)).toEqual(['1', '2', '3']);
    expect((await readRetention(keeping)).body).toMatchObject({ policy: {}, last_run: { deleted: 0 }, next_run: null });
    expect((await readRetention(other)).body.policy).toEqual({ critical: 1 });
  });

  it('takes a single number for all severities', async () => {
    const database = await createDatabase();
    const api = await start(database, { RETENTION_DAYS: '30' });
    expect((await readRetention(api)).body.policy).toEqual({ info: 30, warning: 30, error: 30, critical: 30 });
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
    await runIsOver(api);
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
    await runIsOver(deleting);
    const [gone, there, list, stats] = (await answers()) as [Answer, Answer, Answer, Answer];
    expectProblem(gone, 404);
    expect(there.body).toEqual(young);
    expect((list.body as EventBody[]).map(({ id }) => id)).toEqual([young.id]);
    expect(stats.body).toMatchObject({ events_by_type: { old: 1 } });
  });

  it('is told to who may read it, and only as it is asked for', async () => {
    const database = await createDatabase();
    const api = await start(database, { API_TOKEN: 'secret' });
    expectProblem(await readRetention(api), 401);
    const headers = { authorization: 'Bearer secret' };
    expect((await send('GET', `${api.url}/api/events/retention/`, { headers })).status).toBe(200);
    expectInvalid(await send('GET', `${api.url}/api/events/retention?verbose=1`, { headers }), 'verbose');
    expectProblem(await send('DELETE', `${api.url}/api/events/retention`, { headers }), 405);
  });
});
