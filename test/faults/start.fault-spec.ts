import { createServer } from 'node:net';
import { schema } from '../../ormconfig';
import { useProcesses, type ApiProcess } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { send, type Answer } from '../support/http';
import { until } from '../support/services';
import { useStops } from '../support/stops';
import { useDataFolders } from './support/data-folder';
import { useLoads } from './support/load';
import { record } from './support/measurements';
import { CUTS, useTcpProxies } from './support/tcp-proxy';

const MIGRATIONS = (schema.migrations as { name: string }[]).map(({ name }) => name);
const EVENT = { event_type: 'start', severity: 'info', message: 'of a process that starts' };

const ROUNDS = 3;

/** Acknowledged events before and after each fault. */
const BETWEEN = 200;

const TROUBLE = /"level":"(warn|error|fatal)"/;

describe('a process starts', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();
  const createDataFolder = useDataFolders();
  const startLoad = useLoads();
  const startProxy = useTcpProxies();
  const stops = useStops();

  const get = (api: ApiProcess, path: string): Promise<Answer> => send('GET', api.url + path);
  const post = (api: ApiProcess): Promise<Answer> => send('POST', `${api.url}/api/events`, { json: EVENT });
  const isReady = (api: ApiProcess): Promise<void> =>
    until(async () => (await get(api, '/health/ready')).status === 200, 'it is ready', 30_000);

  async function expectMigrated(url: string, ...apis: ApiProcess[]): Promise<void> {
    const applied = await query<{ name: string }>(url, 'SELECT name FROM migrations ORDER BY id');
    expect(applied.map(({ name }) => name)).toEqual(MIGRATIONS);
    const output = apis.map((api) => api.output()).join('');
    for (const name of MIGRATIONS) expect(output.split(`migration ${name} applied`)).toHaveLength(2);
  }

  it('with three others on an empty database: one migrates, all serve', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { url } = await createDatabase(null);
      const variables = { DATABASE_URL: url, MIGRATE_ON_START: 'true' };
      const apis = await Promise.all([1, 2, 3, 4].map(() => launch(variables).listening()));
      for (const api of apis) {
        await isReady(api);
        expect((await post(api)).status).toBe(201);
      }
      await expectMigrated(url, ...apis);
      for (const api of apis) expect(api.output().replace(/.*"msg":"request".*/g, '')).not.toMatch(TROUBLE);
      expect(await Promise.all(apis.map((api) => api.stop()))).toEqual([0, 0, 0, 0]);
    }
    record({ rounds: ROUNDS, requests: 4 * ROUNDS, also: `${MIGRATIONS.length} migrations, each once` });
  });

  it.each(CUTS)('while the network to PostgreSQL %s: it lives, and migrates and serves later', async (_name, fault) => {
    const { url } = await createDatabase(null);
    const proxy = await startProxy(url);
    proxy.set(fault);
    const api = await launch({ DATABASE_URL: proxy.through(url), MIGRATE_ON_START: 'true' }).listening();
    expect((await get(api, '/health/live')).status).toBe(200);
    expect((await get(api, '/health/ready')).status).toBe(503);
    for (const answer of [await get(api, '/api/events'), await post(api)]) {
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, expect.stringMatching(/^[1-9]\d*$/)]);
    }
    const cleared = performance.now();
    proxy.set({ kind: 'clear' });
    await isReady(api);
    const recoveryMs = [performance.now() - cleared];
    expect((await post(api)).status).toBe(201);
    await expectMigrated(url, api);
    record({ rounds: 1, recoveryMs });
  });

  describe('with the embedded PostgreSQL', () => {
    it('that one before it left when it was killed: it takes over, and nothing acknowledged is lost', async () => {
      const folder = createDataFolder();
      const start = (): Promise<ApiProcess> => launch({ DATA_DIR: folder.dataDir }).listening();
      let api = await start();
      const { url } = folder;
      const first = url();
      const load = startLoad(() => [api.url]);
      const recoveryMs: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        await load.more(BETWEEN);
        expect(await api.stop('SIGKILL')).toBeNull();
        const killed = performance.now();
        api = await start();
        await load.more(1);
        recoveryMs.push(performance.now() - killed);
        expect([url(), api.output()]).toEqual([first, expect.stringContaining('it is used again')]);
      }
      await load.more(BETWEEN);
      await load.stop();
      expect(load.wrong).toEqual([]);
      record({ rounds: ROUNDS, recoveryMs, ...(await load.expectNothingLost(url())) });
    });

    it('that is killed, all of it: it comes back by itself, and nothing acknowledged is lost', async () => {
      const folder = createDataFolder();
      const api = await launch({ DATA_DIR: folder.dataDir }).listening();
      const load = startLoad(() => [api.url]);
      const recoveryMs: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        await load.more(BETWEEN);
        const refused = load.statuses.get(503) ?? 0;
        await folder.kill();
        await until(() => (load.statuses.get(503) ?? 0) > refused, 'events are refused');
        recoveryMs.push(await load.recovery());
      }
      await load.more(BETWEEN);
      await load.stop();
      expect([load.wrong, load.statuses.get(0)]).toEqual([[], undefined]);
      record({ rounds: ROUNDS, recoveryMs, ...(await load.expectNothingLost(folder.url())) });
    });

    it('that was killed with the one before it, and whose port is taken: it serves on another', async () => {
      const folder = createDataFolder();
      let api = await launch({ DATA_DIR: folder.dataDir }).listening();
      const load = startLoad(() => [api.url]);
      await load.more(BETWEEN);
      await api.stop('SIGKILL');
      await folder.kill();
      await until(async () => (await folder.pids()).length === 0, 'PostgreSQL is gone');
      const before = new URL(folder.url()).port;
      const stranger = createServer((socket) => socket.destroy());
      await new Promise<void>((resolve) => stranger.listen(Number(before), '127.0.0.1', resolve));
      stops.push(() => new Promise((resolve) => stranger.close(resolve)));
      const killed = performance.now();
      api = await launch({ DATA_DIR: folder.dataDir }).listening();
      await load.more(BETWEEN);
      const recoveryMs = [performance.now() - killed];
      await load.stop();
      expect([load.wrong, new URL(folder.url()).port]).toEqual([[], expect.not.stringMatching(before)]);
      record({ rounds: 1, recoveryMs, ...(await load.expectNothingLost(folder.url())) });
    });
  });
});
