import { Client } from 'pg';
import { query, takeAway, useDatabases } from '../support/databases';
import { expectProblem } from '../support/events';
import { lastRun, messages, readRetention, runIsOver, runsOf, storeOld, useApps } from '../support/retention';
import { until } from '../support/services';

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

describe('runs of retention', () => {
  const clients: Client[] = [];
  // Before `useApps`: an application does not close while an event of its chunk is held.
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.end()));
  });
  const { start, close } = useApps();
  const createDatabase = useDatabases();

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

  it('runs again when it is due, at the same time in every process and after a restart', async () => {
    const database = await createDatabase();
    const attempts = await countAttempts(database.url);
    const first = await start(database, { RETENTION_DAYS: 'info=30' });
    await runIsOver(first);
    const { last_run, next_run } = (await readRetention(first)).body;
    await close(first);

    await storeOld(database.url, 5);
    const second = await start(database, { RETENTION_DAYS: 'info=30' });
    await until(async () => (await attempts()) === 2, 'it looked whether a run is due');
    expect((await readRetention(second)).body).toEqual({ policy: { info: 30 }, last_run, next_run, held: null });
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
    await runIsOver(api);
    await query(database.url, `UPDATE retention_runs SET ended_at = ended_at - interval '5 hours'`);
    const before = (await query<{ now: Date }>(database.url, 'SELECT now() AS now'))[0]?.now ?? new Date(0);
    const { next_run } = (await readRetention(api)).body;
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
    expect((await readRetention(apis[0])).body.last_run).toBeNull();
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
    await runIsOver(next);
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
    expectProblem(await readRetention(api), 503);
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
});
