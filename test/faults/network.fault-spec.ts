import { linesWith, useProcesses, type ApiProcess } from '../support/api-process';
import { useDatabases } from '../support/databases';
import { send, type Answer } from '../support/http';
import { startRedis, until } from '../support/services';
import { useStops } from '../support/stops';
import { useLoads } from './support/load';
import { record } from './support/measurements';
import { CUTS, useTcpProxies, type NetworkCondition } from './support/tcp-proxy';

const EVENT = { event_type: 'network', severity: 'info', message: 'through the network' };

/** Acknowledged events before and after each fault. */
const BETWEEN = 100;

/** How often the network to the clients is cut. */
const CLIENT_ROUNDS = 30;

const SLOW: [name: string, condition: NetworkCondition][] = [
  ['50 ms later, each way', { kind: 'delay', ms: 50 }],
  ['50 kB a second, each way', { kind: 'throttle', bytesPerSecond: 50_000 }],
];

describe('the network', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();
  const startLoad = useLoads();
  const stops = useStops();
  const startProxy = useTcpProxies();

  const get = (api: ApiProcess, path: string): Promise<Answer> => send('GET', api.url + path);
  const post = (api: ApiProcess): Promise<Answer> => send('POST', `${api.url}/api/events`, { json: EVENT });

  describe('to PostgreSQL', () => {
    it.each(CUTS)('%s: 503 in time, nothing acknowledged is lost, and it goes on by itself', async (_name, fault) => {
      const { url } = await createDatabase();
      const proxy = await startProxy(url);
      const api = await launch({ DATABASE_URL: proxy.through(url), CACHE: 'off' }).listening();
      const load = startLoad(api);
      await load.more(BETWEEN);
      proxy.set(fault);
      for (const answer of await Promise.all([get(api, '/api/events'), get(api, '/api/events/stats'), post(api)])) {
        expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, expect.stringMatching(/^[1-9]\d*$/)]);
      }
      expect((await get(api, '/health/live')).status).toBe(200);
      expect((await get(api, '/health/ready')).status).toBe(503);
      proxy.set({ kind: 'clear' });
      const recoveryMs = [await load.recovery()];
      await until(async () => (await get(api, '/health/ready')).status === 200, 'it is ready again', 30_000);
      await load.more(BETWEEN);
      await load.stop();
      expect([load.wrong, load.statuses.get(0)]).toEqual([[], undefined]);
      record({ rounds: 1, recoveryMs, ...(await load.expectNothingLost(url)) });
    });

    it.each(SLOW)('is slow, %s: everything is answered, only later', async (name, condition) => {
      const { url } = await createDatabase();
      const proxy = await startProxy(url);
      const api = await launch({ DATABASE_URL: proxy.through(url), CACHE: 'off' }).listening();
      proxy.set(condition);
      const load = startLoad(api);
      await load.more(BETWEEN);
      expect((await get(api, '/api/events?limit=1')).status).toBe(200);
      await load.stop();
      expect([...load.statuses.keys()]).toEqual([201]);
      record({ rounds: 1, ...(await load.expectNothingLost(url)), also: name });
    });
  });

  it('to the clients resets connections: what is sent again with its key is stored once', async () => {
    const { url } = await createDatabase();
    const api = await launch({ DATABASE_URL: url, CACHE: 'memory' }).listening();
    const proxy = await startProxy(api.url);
    const load = startLoad(() => [proxy.through(api.url)], { batches: true });
    for (let round = 0; round < CLIENT_ROUNDS; round++) {
      await load.more(BETWEEN);
      const broken = load.broken.length;
      proxy.set({ kind: 'reset' });
      await until(() => load.broken.length > broken, 'connections broke');
      proxy.set({ kind: 'clear' });
    }
    await load.stop();
    expect([load.wrong, load.brokeEveryKind]).toEqual([[], true]);
    // The network took answers too, not only requests.
    const { untold } = await load.compare(url);
    expect(untold.length).toBeGreaterThan(0);
    record({
      rounds: CLIENT_ROUNDS,
      ...(await load.expectNothingLost(url)),
      also: `${untold.length} events without a key were stored and their answers lost`,
    });
  });

  describe('to Redis', () => {
    it.each(CUTS)('%s: answers are right, health says degraded, and it is used again', async (_name, fault) => {
      const { url } = await createDatabase();
      const redis = await startRedis();
      stops.push(() => redis.stop());
      const proxy = await startProxy(redis.url);
      const api = await launch({ DATABASE_URL: url, CACHE: 'redis', REDIS_URL: proxy.through(redis.url) }).listening();
      const created = await post(api);
      const path = created.headers.get('location') ?? '';
      expect((await get(api, path)).text).toBe(created.text);
      proxy.set(fault);
      for (let round = 0; round < 20; round++) {
        const message = `round ${round}`;
        const changed = await send('PATCH', api.url + path, { json: { message } });
        expect([changed.status, (await get(api, path)).text]).toEqual([200, changed.text]);
        expect((await post(api)).status).toBe(201);
      }
      const health = await get(api, '/health');
      expect([health.status, (health.body as { status: string }).status]).toEqual([200, 'degraded']);
      expect(linesWith(api, 'Redis is not available')).toHaveLength(1);
      proxy.set({ kind: 'clear' });
      const cleared = performance.now();
      await until(() => api.output().includes('Redis is used again'), 'Redis is used again', 30_000);
      const recoveryMs = [performance.now() - cleared];
      expect((await get(api, path)).body).toMatchObject({ message: 'round 19' });
      record({ rounds: 1, requests: 60, recoveryMs, also: 'no answer older than the last change' });
    });
  });
});
