import { Redis } from 'ioredis';
import { linesWith, useProcesses, type ApiProcess } from '../support/api-process';
import { useDatabases } from '../support/databases';
import { send } from '../support/http';
import { startRedis, until } from '../support/services';
import { useStops } from '../support/stops';
import { record } from './support/measurements';
import { ShownVersions } from './support/shown-versions';
import { CUTS, useTcpProxies, type NetworkCondition, type TcpProxy } from './support/tcp-proxy';

const ROUNDS = 5;

/** Seconds that answers are kept where a test waits for their end. */
const TTL_SECONDS = 2;
const SHORT = {
  CACHE_EVENT_TTL_SECONDS: String(TTL_SECONDS),
  CACHE_TYPE_TTL_SECONDS: String(TTL_SECONDS),
  CACHE_STATS_TTL_SECONDS: String(TTL_SECONDS),
};

/** Slow enough that what is said to be done and is only under way is seen, and fast enough for a command. */
const SLOW: NetworkCondition = { kind: 'delay', ms: 30 };

const [LOST, FOUND] = ['Redis is not available', 'Redis is used again'];

describe('the network between Redis and the process that writes', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();
  const startProxy = useTcpProxies();
  const stops = useStops();
  let network: TcpProxy;
  let redis: Redis;
  let writer: ApiProcess;
  let reader: ApiProcess;

  async function start(variables: Record<string, string> = {}): Promise<void> {
    const { url } = await createDatabase();
    const server = await startRedis();
    stops.push(() => server.stop());
    network = await startProxy(server.url);
    redis = new Redis(server.url, { disconnectTimeout: 0 });
    stops.unshift(() => redis.quit());
    const common = { DATABASE_URL: url, CACHE: 'redis', ...variables };
    [writer, reader] = (await Promise.all(
      [network.through(server.url), server.url].map((address) => launch({ ...common, REDIS_URL: address }).listening()),
    )) as [ApiProcess, ApiProcess];
  }

  const linesOf = (message: string): string[] => linesWith(writer, message);

  /** A change that the writer shows at once. */
  async function change(versions: ShownVersions): Promise<void> {
    await versions.change(writer);
    expect(await versions.shownBy(writer)).toEqual(versions.latest);
  }

  /** How many of the answers of the reader are older than the last change. */
  async function olderOf(versions: ShownVersions): Promise<number> {
    const shown = await versions.shownBy(reader);
    return shown.filter((each, at) => JSON.stringify(each) !== JSON.stringify(versions.latest[at])).length;
  }

  it.each(CUTS)(
    '%s: health and log tell it, and what the other shows is old for its time at most',
    async (_name, fault) => {
      await start(SHORT);
      const versions = new ShownVersions();
      await change(versions);
      expect(await versions.shownBy(reader)).toEqual(versions.latest);
      network.set(fault);
      const begin = performance.now();
      await change(versions);
      const older = await olderOf(versions);
      const { status, body } = await send<{ status: string }>('GET', `${writer.url}/health`);
      expect([status, body]).toMatchObject([200, { status: 'degraded', details: { redis: { status: 'degraded' } } }]);
      for (const key of versions.keys) expect(await redis.pttl(key)).toBeLessThanOrEqual(TTL_SECONDS * 1000);
      await until(async () => (await redis.exists(...versions.keys)) === 0, 'what was kept has ended');
      expect(await versions.shownBy(reader)).toEqual(versions.latest);
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      const warnings = linesOf(LOST).map((line) => (JSON.parse(line) as { level: string }).level);
      expect(warnings).toEqual(['warn']);
      record({
        rounds: 1,
        requests: versions.requests,
        also: `${older} of 3 answers of the other process older at first, 0 after ${seconds} s, with a TTL of ${TTL_SECONDS} s`,
      });
    },
  );

  it.each(CUTS)('%s, and no more: once Redis is used again nobody shows anything older', async (_name, fault) => {
    await start();
    const versions = new ShownVersions();
    await change(versions);
    expect(await versions.shownBy(reader)).toEqual(versions.latest);
    const recoveryMs: number[] = [];
    let older = 0;
    for (let round = 0; round < ROUNDS; round++) {
      network.set(fault);
      await change(versions);
      older += await olderOf(versions);
      const found = linesOf(FOUND).length;
      expect(linesOf(LOST).length).toBeGreaterThan(found);
      network.set(SLOW);
      const cleared = performance.now();
      await until(() => linesOf(FOUND).length > found, 'Redis is used again', 30_000);
      expect(await versions.shownBy(reader)).toEqual(versions.latest);
      recoveryMs.push(performance.now() - cleared);
      network.set({ kind: 'clear' });
      await change(versions);
      expect(await versions.shownBy(reader)).toEqual(versions.latest);
    }
    // Else nothing would have been there that must not be shown afterwards.
    expect(older).toBeGreaterThan(0);
    record({
      rounds: ROUNDS,
      requests: versions.requests,
      recoveryMs,
      also: `${older} answers of the other process older meanwhile, 0 afterwards`,
    });
  });
});
