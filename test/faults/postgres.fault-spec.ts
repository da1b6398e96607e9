import { join } from 'node:path';
import { Client } from 'pg';
import { useProcesses, type ApiProcess } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { send, type Answer } from '../support/http';
import { freeze } from '../support/process-list';
import { until } from '../support/services';
import { useStops } from '../support/stops';
import { useLoads, type Load } from './support/load';
import { record } from './support/measurements';
import { useOwnPostgres } from './support/own-postgres';

const EVENT = { event_type: 'postgres', severity: 'info', message: 'of a broken PostgreSQL' };

/** Acknowledged events before and after each fault. */
const BETWEEN = 100;

/** All that the server has, none of them kept for superusers. */
const CONNECTIONS = 14;

describe('PostgreSQL', () => {
  // In this order: what is frozen goes on, the processes end, then their databases go.
  const stops = useStops();
  const startLoad = useLoads();
  const launch = useProcesses();
  const createDatabase = useDatabases();
  const startPostgres = useOwnPostgres();

  const start = (url: string, variables: Record<string, string> = {}): Promise<ApiProcess> =>
    launch({ DATABASE_URL: url, CACHE: 'off', ...variables }).listening();
  const get = (api: ApiProcess, path: string): Promise<Answer> => send('GET', api.url + path);
  const post = (api: ApiProcess): Promise<Answer> => send('POST', `${api.url}/api/events`, { json: EVENT });

  function expectUnavailable({ status, headers }: Answer): void {
    expect([status, headers.get('retry-after')]).toEqual([503, expect.stringMatching(/^[1-9]\d*$/)]);
  }

  async function expectRecovery(api: ApiProcess, load: Load, url: string): Promise<void> {
    const recoveryMs = [await load.recovery()];
    await until(async () => (await get(api, '/health/ready')).status === 200, 'it is ready again', 30_000);
    await load.more(BETWEEN);
    await load.stop();
    expect([load.wrong, load.statuses.get(0)]).toEqual([[], undefined]);
    record({ rounds: 1, recoveryMs, ...(await load.expectNothingLost(url)) });
  }

  it('freezes: 503 in time, also without an answer to a cancel, and all goes on when it thaws', async () => {
    const { url } = await createDatabase();
    const api = await start(url);
    const load = startLoad(api);
    await load.more(BETWEEN);
    const backends = await query<{ pid: number }>(
      url,
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'eventdeck'`,
    );
    expect(backends.length).toBeGreaterThan(0);
    const thaw = freeze(backends.map(({ pid }) => pid));
    stops.unshift(thaw);
    await until(() => (load.statuses.get(503) ?? 0) > 0, 'events are refused', 30_000);
    expect((await get(api, '/health/live')).status).toBe(200);
    thaw();
    await expectRecovery(api, load, url);
  });

  it('has no connection left (53300): 503, no crash, and it goes on once it has', async () => {
    const postgres = await startPostgres({
      max_connections: String(CONNECTIONS),
      superuser_reserved_connections: '0',
    });
    const holders: Client[] = [];
    stops.unshift(async () => void (await Promise.all(holders.map((holder) => holder.end()))));
    // The server's owner holds one of them.
    for (let held = 1; held < CONNECTIONS; held++) {
      const holder = new Client({ connectionString: postgres.url });
      await holder.connect();
      holders.push(holder);
    }
    const api = await start(postgres.url);
    expectUnavailable(await post(api));
    expectUnavailable(await get(api, '/api/events'));
    expect((await get(api, '/health/live')).status).toBe(200);
    await Promise.all(holders.splice(0).map((holder) => holder.end()));
    await expectRecovery(api, startLoad(api), postgres.url);
  });

  it('has the only clock: created_at is right where that of the process is an hour off', async () => {
    const { url } = await createDatabase();
    const api = await start(url, {
      NODE_OPTIONS: `--require ${join(__dirname, 'support/shift-clock.cjs')}`,
      CLOCK_SHIFT_MS: String(60 * 60 * 1000),
    });
    const { body } = await send<{ created_at: string; timestamp: string }>('POST', `${api.url}/api/events`, {
      json: EVENT,
    });
    const [clock] = await query<{ now: Date }>(url, 'SELECT now()');
    const off = [body.created_at, body.timestamp].map((time) => (clock?.now.getTime() ?? 0) - Date.parse(time));
    for (const ms of off) expect(Math.abs(ms)).toBeLessThan(60_000);
    const [line] = api.output().split('\n');
    const logged = Date.parse((JSON.parse(line ?? '') as { time: string }).time);
    expect(logged - Date.now()).toBeGreaterThan(50 * 60 * 1000);
    record({ rounds: 1, requests: 1, also: `created_at ${Math.max(...off.map(Math.abs))} ms off that of PostgreSQL` });
  });
});
