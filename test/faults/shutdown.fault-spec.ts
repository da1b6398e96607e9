import { useProcesses, type ApiProcess } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { send, type Answer } from '../support/http';
import { freeze } from '../support/process-list';
import { startRedis, until } from '../support/services';
import { useStops } from '../support/stops';
import { useDataFolders } from './support/data-folder';
import { useLoads } from './support/load';
import { record } from './support/measurements';
import { useOwnPostgres } from './support/own-postgres';
import { RawClients } from './support/raw-clients';
import { endInTime, goneAfter, type End } from './support/shutdown';

/** Ends of a process under one load. */
const ROUNDS = 5;

/** Acknowledged events between two faults. */
const BETWEEN = 200;

const EVENT = { event_type: 'shutdown', severity: 'info', message: 'of a process that ends' };

const HALF_A_REQUEST =
  'POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{';

/** More than fits the buffers of a connection. */
const STORE_30_MB = `INSERT INTO system_events (event_type, severity, message)
  SELECT 'large', 'info', repeat('x', 60000) FROM generate_series(1, 500)`;
const EXPORT = 'GET /api/events/export HTTP/1.1\r\nHost: localhost\r\n\r\n';

describe('a process is told to end', () => {
  // In this order: what is frozen goes on, the processes end, then their databases go.
  const startLoad = useLoads();
  const stops = useStops();
  const startPostgres = useOwnPostgres();

  const launch = useProcesses();
  const createDatabase = useDatabases();
  const createDataFolder = useDataFolders();

  const start = (databaseUrl: string, variables: Record<string, string> = {}): Promise<ApiProcess> =>
    launch({ DATABASE_URL: databaseUrl, CACHE: 'off', ...variables }).listening();
  const get = (api: ApiProcess, path: string): Promise<Answer> => send('GET', api.url + path);
  const post = (api: ApiProcess): Promise<Answer> => send('POST', `${api.url}/api/events`, { json: EVENT });
  const countOf = async (url: string, type: string): Promise<number> =>
    (await query(url, 'SELECT FROM system_events WHERE event_type = $1', [type])).length;

  it('behind a load balancer: it is not ready but serves first, and no client notices', async () => {
    const { url } = await createDatabase();
    const variables = { SHUTDOWN_DELAY_MS: '4000' };
    let oldest = await start(url, variables);
    let newest = await start(url, variables);
    let balanced = [oldest, newest];
    const load = startLoad(() => balanced.map((api) => api.url));
    const ends: End[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const next = await start(url, variables);
      await load.more(BETWEEN);
      const ended = endInTime(oldest);
      await until(async () => (await get(oldest, '/health/ready')).status === 503, 'it is not ready');
      balanced = [newest, next];
      const { status, headers } = await post(oldest);
      expect([status, headers.get('connection')]).toEqual([201, 'close']);
      ends.push(await ended);
      [oldest, newest] = balanced as [ApiProcess, ApiProcess];
    }
    await load.more(BETWEEN);
    await load.stop();
    expect(ends.map(({ code }) => code)).toEqual(Array(ROUNDS).fill(0));
    expect([load.wrong, load.broken, [...load.statuses.keys()]]).toEqual([[], [], [201]]);
    expect([await countOf(url, 'system_shutdown'), await countOf(url, 'system_crash')]).toEqual([ROUNDS, 0]);
    record({
      rounds: ROUNDS,
      ...(await load.expectNothingLost(url)),
      also: `${goneAfter(ends)}, 4 s of them not ready`,
    });
  });

  it('while clients keep coming: whatever was stored was answered, and the rest was never taken', async () => {
    const { url } = await createDatabase();
    let victim = await start(url);
    const other = await start(url);
    const load = startLoad(() => [victim.url, other.url]);
    const ends: End[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await load.more(BETWEEN);
      const [next, end] = await Promise.all([start(url), endInTime(victim)]);
      ends.push(end);
      victim = next;
    }
    await load.more(BETWEEN);
    await load.stop();
    expect(ends.map(({ code }) => code)).toEqual(Array(ROUNDS).fill(0));
    expect([load.wrong, (await load.compare(url)).untold]).toEqual([[], []]);
    expect([await countOf(url, 'system_shutdown'), await countOf(url, 'system_crash')]).toEqual([ROUNDS, 0]);
    const refused = (load.statuses.get(0) ?? 0) - load.broken.length;
    const also = `${goneAfter(ends)}; ${refused} connections refused, ${load.broken.length} cut before their request was taken`;
    record({ rounds: ROUNDS, ...(await load.expectNothingLost(url)), also });
  });

  it('while PostgreSQL and Redis hang and clients stall: it is gone within 25 s all the same', async () => {
    const redis = await startRedis();
    stops.push(() => redis.stop());
    const postgres = await startPostgres();
    const hanging = { CACHE: 'redis', REDIS_URL: redis.url };
    const { url: healthy } = await createDatabase();
    const longest = { SHUTDOWN_DELAY_MS: '15000' };
    const apis = [
      await start(postgres.url, hanging),
      await start(postgres.url, { ...hanging, ...longest }),
      await start(healthy, longest),
    ];
    for (const url of [postgres.url, healthy]) await query(url, STORE_30_MB);
    for (const api of apis) await stall(api);
    const load = startLoad(() => apis.slice(0, 2).map(({ url }) => url));
    await load.more(BETWEEN);
    const thaw = freeze([...(await postgres.pids()), redis.process.pid!]);
    stops.unshift(thaw);
    const ends = await Promise.all(apis.map(endInTime));
    thaw();
    await load.abandon();
    // What hangs for too long is no proper end; whoever only has clients that stall ends properly.
    const codes = ends.map(({ code }) => code);
    expect(codes).toEqual([expect.any(Number), expect.any(Number), 0]);
    expect(await countOf(healthy, 'system_shutdown')).toBe(1);
    record({
      rounds: apis.length,
      ...(await load.expectNothingLost(postgres.url)),
      also: `${goneAfter(ends)}, with ${codes.join(', ')}`,
    });
  });

  it('twice: the second signal ends it at once, and nothing acknowledged is lost', async () => {
    const { url } = await createDatabase();
    const other = await start(url);
    let victim = other;
    const load = startLoad(() => [victim.url, other.url]);
    const signals = Object.entries({ SIGTERM: 143, SIGINT: 130, SIGHUP: 129 }) as [NodeJS.Signals, number][];
    for (const [signal, code] of signals) {
      victim = await start(url, { SHUTDOWN_DELAY_MS: '15000' });
      await load.more(BETWEEN);
      const ended = victim.stop('SIGTERM');
      await until(async () => (await get(victim, '/health/ready')).status === 503, 'it is not ready');
      // Again and again, as what comes too soon counts for the first.
      await until(() => {
        victim.child.kill(signal);
        return victim.child.exitCode !== null;
      }, `${signal} ends it`);
      expect(await ended).toBe(code);
    }
    expect(await countOf(url, 'system_shutdown')).toBe(0);
    await load.more(BETWEEN);
    await load.stop();
    expect(load.wrong).toEqual([]);
    record({ rounds: signals.length, ...(await load.expectNothingLost(url)), also: 'exit codes 143, 130, 129' });
  });

  it('with its embedded PostgreSQL: that ends as well, and everything acknowledged is there after the next start', async () => {
    const folder = createDataFolder();
    const startEmbedded = (): Promise<ApiProcess> => launch({ DATA_DIR: folder.dataDir }).listening();
    let api = await startEmbedded();
    const load = startLoad(() => [api.url]);
    const ends: End[] = [];
    for (let round = 0; round < 2; round++) {
      await load.more(BETWEEN);
      ends.push(await endInTime(api));
      expect([ends.at(-1)?.code, await folder.pids()]).toEqual([0, []]);
      api = await startEmbedded();
    }
    await load.more(BETWEEN);
    await load.stop();
    expect([load.wrong, (await load.compare(folder.url())).untold]).toEqual([[], []]);
    expect(await countOf(folder.url(), 'system_shutdown')).toBe(ends.length);
    record({ rounds: ends.length, ...(await load.expectNothingLost(folder.url())), also: goneAfter(ends) });
  });

  /** Clients that never finish their request, or never read their answer. */
  async function stall({ url }: ApiProcess): Promise<void> {
    const clients = new RawClients(url);
    stops.unshift(() => clients.close());
    for (const first of [HALF_A_REQUEST, EXPORT]) await clients.add(1, { first, reads: false });
  }
});
