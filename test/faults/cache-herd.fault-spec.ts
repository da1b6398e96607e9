import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { useProcesses, type ApiProcess } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { send } from '../support/http';
import { startRedis, until } from '../support/services';
import { useStops } from '../support/stops';
import { record } from './support/measurements';

/** Requests at once to each of two processes. */
const REQUESTS = 500;
const ROUNDS = 2;
const MOST_ROUNDS = 8;

/** Nothing is stored by the service itself meanwhile. */
const VARIABLES = { CACHE: 'redis', HEARTBEAT_SECONDS: '3600' };

const VIEWS = ['event', 'stats'] as const;
type View = (typeof VIEWS)[number];

const OTHERS = `FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;

describe('500 requests at once to each of two processes', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();
  const stops = useStops();
  let url: string;
  let redis: Redis;
  let apis: ApiProcess[];
  let event: { id: number; url: string };

  beforeEach(async () => {
    ({ url } = await createDatabase());
    const server = await startRedis();
    redis = new Redis(server.url, { disconnectTimeout: 0 });
    stops.push(
      () => redis.quit(),
      () => server.stop(),
    );
    const start = (): Promise<ApiProcess> =>
      launch({ ...VARIABLES, DATABASE_URL: url, REDIS_URL: server.url }).listening();
    apis = await Promise.all([start(), start()]);
    await until(async () => (await started()) === 2, 'both starts are stored');
    const json = { event_type: 'kept', severity: 'info', message: 'asked for by many' };
    const created = await send<{ id: number }>('POST', `${apis[0]?.url}/api/events`, { json });
    event = { id: created.body.id, url: `${apis[0]?.url}/api/events/${created.body.id}` };
  });

  async function started(): Promise<number> {
    const [row] = await query<{ count: number }>(
      url,
      `SELECT count(*)::int AS count FROM system_events WHERE event_type = 'system_startup'`,
    );
    return row?.count ?? 0;
  }

  /** Scans of the events so far. A connection tells them at its end at the latest, so all of them are ended. */
  async function scans(): Promise<number> {
    const ended = await query<{ pid: number }>(url, `SELECT pid, pg_terminate_backend(pid) ${OTHERS}`);
    const left = async (): Promise<number> =>
      (await query(url, `SELECT ${OTHERS} AND pid = ANY ($1)`, [ended.map(({ pid }) => pid)])).length;
    await until(async () => (await left()) === 0, 'the connections have ended');
    for (const api of apis) {
      // A probe has a connection of its own; this one is of the pool, and tells which database it is.
      await until(async () => (await send('GET', `${api.url}/api/events/retention`)).status === 200, 'it is there');
    }
    const [row] = await query<{ scans: number }>(
      url,
      `SELECT (seq_scan + idx_scan)::int AS scans FROM pg_stat_user_tables WHERE relname = 'system_events'`,
    );
    return row?.scans ?? NaN;
  }

  async function scansOf(work: () => Promise<unknown>): Promise<number> {
    const before = await scans();
    await work();
    return (await scans()) - before;
  }

  async function read(path: string, times: number, from: readonly ApiProcess[]): Promise<void> {
    const all = from.flatMap((api) =>
      Array.from({ length: times }, () => send('GET', `${api.url}/api/events/${path}`)),
    );
    expect(new Set((await Promise.all(all)).map(({ status }) => status))).toEqual(new Set([200]));
  }

  const pathOf = (view: View): string => ({ event: String(event.id), stats: 'stats' })[view];
  const keyOf = (view: View): string => ({ event: `events:id:${event.id}`, stats: 'events:stats' })[view];

  const lost = (): number =>
    apis.map((api) => api.output().match(/Redis is not available/g)?.length ?? 0).reduce((all, each) => all + each);

  /** Reads of the database for each herd. One during which Redis did not answer in time, on a busy machine, is no such. */
  async function readsOfHerds(view: View, prepare: () => Promise<void>): Promise<number[]> {
    const once = await scansOf(() => read(pathOf(view), 1, apis.slice(0, 1)));
    expect(once).toBeGreaterThan(0);
    const reads: number[] = [];
    for (let round = 0; reads.length < ROUNDS && round < MOST_ROUNDS; round++) {
      const before = lost();
      await prepare();
      const found = (await scansOf(() => read(pathOf(view), REQUESTS, apis))) / once;
      if (lost() === before) reads.push(found);
    }
    return reads;
  }

  function expectOneEach(reads: number[]): void {
    expect(reads).toHaveLength(ROUNDS);
    for (const each of reads) {
      expect(each).toBeGreaterThanOrEqual(1);
      expect(each).toBeLessThanOrEqual(apis.length);
    }
    record({ rounds: ROUNDS, requests: ROUNDS * REQUESTS * 2, also: `reads of the database: ${reads.join(', ')}` });
  }

  it.each(VIEWS)('read the database once for each process when what was kept has ended: %s', async (view) => {
    const end = async (): Promise<void> => {
      // The time of the value is over; the lease under which it was kept lasts longer.
      expect(await redis.pexpire(keyOf(view), 1)).toBe(1);
      await until(async () => (await redis.exists(keyOf(view))) === 0, 'what was kept has ended');
    };
    expectOneEach(await readsOfHerds(view, end));
  });

  it.each(VIEWS)('read the database once for each process after a change: %s', async (view) => {
    const change = async (): Promise<void> => {
      expect((await send('PATCH', event.url, { json: { message: randomUUID() } })).status).toBe(200);
    };
    expectOneEach(await readsOfHerds(view, change));
  });
});
