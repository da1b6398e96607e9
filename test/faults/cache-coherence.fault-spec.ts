import { Redis } from 'ioredis';
import { useProcesses, type ApiProcess } from '../support/api-process';
import { useDatabases } from '../support/databases';
import { startRedis } from '../support/services';
import { useStops } from '../support/stops';
import { record } from './support/measurements';
import { useTcpProxies, type NetworkCondition, type TcpProxy } from './support/tcp-proxy';
import { WatchedEvent } from './support/watched-event';

/** Changes while Redis answered both processes in time, changes in all at most, and events that change at once. */
const [CHANGES, MOST_CHANGES, EVENTS] = [2000, 6000, 8];

/** Later, each way: a row, and what is read from or stored in the cache, whose commands have 200 ms. */
const LATE_ROW: NetworkCondition = { kind: 'delay', ms: 0, jitterMs: 60 };
const LATE_VALUE: NetworkCondition = { kind: 'delay', ms: 0, jitterMs: 20 };

const [LOST, FOUND] = [/Redis is not available/g, /Redis is used again/g];

describe('two processes that share a cache in Redis', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();
  const startTcpProxy = useTcpProxies();
  const stops = useStops();

  async function startProxy(target: string, condition: NetworkCondition): Promise<TcpProxy> {
    const proxy = await startTcpProxy(target);
    proxy.set(condition);
    return proxy;
  }

  async function startOwnRedis(): Promise<string> {
    const redis = await startRedis();
    stops.push(() => redis.stop());
    return redis.url;
  }

  const start = (databaseUrl: string, redisUrl: string, variables: Record<string, string> = {}): Promise<ApiProcess> =>
    launch({ DATABASE_URL: databaseUrl, CACHE: 'redis', REDIS_URL: redisUrl, ...variables }).listening();

  it('show nothing older than an acknowledged change, though one of them fills the cache late', async () => {
    const { url } = await createDatabase();
    const redisUrl = await startOwnRedis();
    const rows = await startProxy(url, LATE_ROW);
    const values = await startProxy(redisUrl, LATE_VALUE);
    const apis = await Promise.all([start(url, redisUrl), start(rows.through(url), values.through(redisUrl))]);
    const events = Array.from({ length: EVENTS }, (_, index) => new WatchedEvent(apis, `watched-${index}`));
    // Each round makes two changes: every second event begins with another one, so that each change follows each.
    for (const event of events.filter((_, index) => index % 2 === 1)) await event.change();
    const stale: string[] = [];
    let [counted, disturbed, ignored] = [0, 0, 0];
    const rounds = async (event: WatchedEvent): Promise<void> => {
      while (stale.length === 0 && counted < CHANGES && counted + disturbed < MOST_CHANGES) {
        const outages = countOf(apis, LOST);
        const isServed = countOf(apis, FOUND) === outages;
        const older = await event.round();
        // A process that got no answer in time from Redis, on a busy machine, cannot tell the other what it changed.
        if (!isServed || countOf(apis, LOST) > outages) {
          disturbed += 2;
          ignored += older.length;
        } else {
          counted += 2;
          stale.push(...older);
        }
      }
    };
    await Promise.all(events.map(rounds));
    expect([counted, stale]).toEqual([expect.any(Number), []]);
    expect(counted).toBeGreaterThanOrEqual(CHANGES);
    const stored = await storedValues(redisUrl);
    expect(stored).toBeGreaterThan(CHANGES);
    record({
      rounds: counted,
      requests: sum(events.map(({ changes, reads }) => changes + reads)),
      also: `${sum(events.map(({ reads }) => reads))} reads, 0 of them stale; ${stored} times something was stored in Redis; ${disturbed} changes more, ${ignored} stale reads, while Redis did not answer in time`,
    });
  });
});

/** How often processes wrote a message. */
function countOf(apis: readonly ApiProcess[], message: RegExp): number {
  return sum(apis.map((api) => api.output().match(message)?.length ?? 0));
}

/** How often anything was stored in a Redis since its start. */
async function storedValues(url: string): Promise<number> {
  const redis = new Redis(url);
  const statistics = await redis.info('commandstats');
  await redis.quit();
  return Number(/^cmdstat_set:calls=(\d+)/m.exec(statistics)?.[1] ?? 0);
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
