import { useProcesses } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { soakMinutes } from '../support/environment';
import { startRedis, until } from '../support/services';
import { useStops } from '../support/stops';
import { History } from './support/history';
import type { MixedTraffic } from './support/mixed-traffic';
import { record } from '../faults/support/measurements';
import { NODE_OPTIONS } from './support/output-watch';
import { ResourceWatch, type Resources } from './support/resource-watch';
import { Soak } from './support/soak';

const MINUTES = soakMinutes();

/** What comes before and after: events of the past, start, last responses, comparison, end. */
const MARGIN_MS = 240_000;

/** Connections to PostgreSQL at most. */
const POOL = 10;

/**
 * How many times the memory (without garbage) and the descriptors of the middle third of the time the last third may
 * hold, on average. Both follow what is under way, and in two equal spans of that differ by a few percent; what leaks is
 * added up over all requests. The first third is for caches, pools, compiled code and the table to fill.
 */
const GROWTH = 1.1;

/** How many times slower the last third may be; a busy machine is taken out (`Soak.slowdown`). */
const SLOWDOWN = 3;

describe('mixed traffic', () => {
  // Before the process and the database go: whoever watches them would be cut off.
  const stops = useStops();

  const launch = useProcesses();
  const createDatabase = useDatabases();

  it(
    `for ${MINUTES} min is answered as known, loses nothing and leaves nothing behind`,
    async () => {
      const { url } = await createDatabase();
      const history = await History.store(url);
      const redis = await startRedis();
      stops.push(() => redis.stop());
      const api = await launch({ DATABASE_URL: url, CACHE: 'redis', REDIS_URL: redis.url, NODE_OPTIONS }).listening();
      const watch = await ResourceWatch.open(api.child.pid ?? 0, url, redis.url);
      stops.unshift(() => watch.close());
      const before = await watch.look();

      const soak = new Soak(api, watch, history, MINUTES);
      const { traffic } = soak;
      stops.unshift(() => traffic.close());
      await soak.run();

      expect(traffic.wrong).toEqual([]);
      expect(soak.output.complaints).toEqual([]);
      await expectStoredAsKnown(url, traffic);
      expectSteady(soak, before);
      traffic.close();
      const left = async (): Promise<boolean> => (await watch.look()).descriptors <= before.descriptors + POOL;
      await until(left, 'the connections of all clients are closed');
      record({
        requests: traffic.requests,
        acknowledged: traffic.acknowledged,
        lost: 0,
        duplicates: 0,
        also: soak.describe(),
      });
    },
    MINUTES * 60_000 + MARGIN_MS,
  );
});

/** Expects exactly the events that are known, none less, none more. */
async function expectStoredAsKnown(url: string, { owners }: MixedTraffic): Promise<void> {
  const sql = 'SELECT id::int, message FROM system_events WHERE source = $1 ORDER BY id';
  for (const { source, known } of owners) {
    const rows = await query<{ id: number; message: string }>(url, sql, [source]);
    const expected = Array.from(known, ([id, { message }]) => ({ id, message }));
    expect(rows).toEqual(expected);
  }
}

/** Expects what is held, and how long requests take, not to grow. */
function expectSteady(soak: Soak, before: Resources): void {
  expect(soak.most('postgresConnections')).toBeLessThanOrEqual(POOL);
  expect(soak.most('redisConnections')).toBe(before.redisConnections);
  expect(soak.growth('heap')).toBeLessThanOrEqual(GROWTH);
  expect(soak.growth('resident')).toBeLessThanOrEqual(GROWTH);
  expect(soak.growth('descriptors')).toBeLessThanOrEqual(GROWTH);
  expect(soak.slowdown()).toBeLessThanOrEqual(SLOWDOWN);
}
