import { useProcesses, type ApiProcess } from '../support/api-process';
import { useDatabases } from '../support/databases';
import { send } from '../support/http';
import { until } from '../support/services';
import { useLoads } from './support/load';
import { record } from './support/measurements';
import { useOwnPostgres, untilServing } from './support/own-postgres';

const ROUNDS = 3;

/** Acknowledged events before each kill. */
const BETWEEN = 300;

describe('events are being stored', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();
  const startLoad = useLoads();
  const startPostgres = useOwnPostgres();

  const start = (databaseUrl: string): Promise<ApiProcess> =>
    launch({ DATABASE_URL: databaseUrl, CACHE: 'memory' }).listening();

  it('and a process is killed: nothing acknowledged is lost, no key is stored twice', async () => {
    const { url } = await createDatabase();
    let victim = await start(url);
    const other = await start(url);
    const load = startLoad(() => [victim.url, other.url], { batches: true });
    const recoveryMs: number[] = [];
    while (recoveryMs.length < ROUNDS || !load.brokeEveryKind) {
      await load.more(BETWEEN);
      expect(await victim.stop('SIGKILL')).toBeNull();
      await load.more(BETWEEN);
      const killed = performance.now();
      victim = await start(url);
      recoveryMs.push(performance.now() - killed);
    }
    await load.more(BETWEEN);
    await load.stop();
    expect(load.wrong).toEqual([]);
    record({ rounds: recoveryMs.length, recoveryMs, ...(await load.expectNothingLost(url)) });
  });

  it('and PostgreSQL is killed: 503 meanwhile, nothing acknowledged is lost, and it goes on by itself', async () => {
    const postgres = await startPostgres();
    const api = await start(postgres.url);
    const load = startLoad(api, { batches: true });
    const recoveryMs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await load.more(BETWEEN);
      const refused = load.statuses.get(503) ?? 0;
      await postgres.kill();
      await until(() => (load.statuses.get(503) ?? 0) > refused, 'events are refused');
      expect((await send('GET', `${api.url}/health/live`)).status).toBe(200);
      recoveryMs.push(await load.recovery());
    }
    await load.more(BETWEEN);
    await load.stop();
    expect([load.wrong, load.statuses.get(0)]).toEqual([[], undefined]);
    expect((await send('GET', `${api.url}/health/ready`)).status).toBe(200);
    record({ rounds: ROUNDS, recoveryMs, ...(await load.expectNothingLost(postgres.url)) });
  });

  it('and what PostgreSQL lost is found: the comparison can fail', async () => {
    // Acknowledged before it is written: what stands in shared memory dies with the server.
    const postgres = await startPostgres({
      synchronous_commit: 'off',
      wal_writer_delay: '10000',
      wal_writer_flush_after: '1GB',
      wal_buffers: '64MB',
    });
    const api = await start(postgres.url);
    const load = startLoad(api);
    await load.more(BETWEEN);
    await postgres.kill();
    await untilServing(postgres.url);
    await load.abandon();
    const { lost, duplicates, ...counts } = await load.compare(postgres.url);
    expect(lost.length).toBeGreaterThan(0);
    record({
      rounds: 1,
      ...counts,
      lost: lost.length,
      duplicates: duplicates.length,
      also: '`synchronous_commit = off`',
    });
  });
});
