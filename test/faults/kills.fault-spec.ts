import { useProcesses, type ApiProcess } from '../support/api-process';
import { useDatabases } from '../support/databases';
import { send } from '../support/http';
import { until } from '../support/services';
import { Load } from './support/load';
import { startOwnPostgres, untilServing, type OwnPostgres } from './support/own-postgres';

const ROUNDS = 3;

/** Acknowledged events before each kill. */
const BETWEEN = 300;

describe('events are being stored', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();
  const stops: (() => Promise<void>)[] = [];

  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  const start = (databaseUrl: string): Promise<ApiProcess> =>
    launch({ DATABASE_URL: databaseUrl, CACHE: 'memory' }).listening();

  function startLoad(urls: () => string[]): Load {
    const load = new Load(urls);
    stops.unshift(() => load.abandon());
    return load;
  }

  async function startPostgres(settings?: Record<string, string>): Promise<OwnPostgres> {
    const postgres = await startOwnPostgres(settings);
    stops.push(postgres.stop);
    return postgres;
  }

  it('and a process is killed: nothing acknowledged is lost, no key is stored twice', async () => {
    const { url } = await createDatabase();
    let victim = await start(url);
    const other = await start(url);
    const load = startLoad(() => [victim.url, other.url]);
    for (let round = 0; round < ROUNDS; round++) {
      await load.more(BETWEEN);
      expect(await victim.stop('SIGKILL')).toBeNull();
      await load.more(BETWEEN);
      victim = await start(url);
    }
    await load.more(BETWEEN);
    await load.stop();
    expect(load.wrong).toEqual([]);
    expect(load.statuses.get(0)).toBeGreaterThan(0);
    expect(await load.compare(url)).toMatchObject({ lost: [], duplicates: [] });
  });

  it('and PostgreSQL is killed: 503 meanwhile, nothing acknowledged is lost, and it goes on by itself', async () => {
    const postgres = await startPostgres();
    const api = await start(postgres.url);
    const load = startLoad(() => [api.url]);
    for (let round = 0; round < ROUNDS; round++) {
      await load.more(BETWEEN);
      const refused = load.statuses.get(503) ?? 0;
      await postgres.kill();
      await until(() => (load.statuses.get(503) ?? 0) > refused, 'events are refused');
      expect((await send('GET', `${api.url}/health/live`)).status).toBe(200);
    }
    await load.more(BETWEEN);
    await load.stop();
    expect([load.wrong, load.statuses.get(0)]).toEqual([[], undefined]);
    expect(await load.compare(postgres.url)).toMatchObject({ lost: [], duplicates: [] });
    expect((await send('GET', `${api.url}/health/ready`)).status).toBe(200);
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
    const load = startLoad(() => [api.url]);
    await load.more(BETWEEN);
    await postgres.kill();
    await untilServing(postgres.url);
    await load.abandon();
    const { lost } = await load.compare(postgres.url);
    expect(lost.length).toBeGreaterThan(0);
  });
});
