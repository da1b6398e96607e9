import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { Client } from 'pg';
import { schema } from '../../ormconfig';
import { EndedEarly, linesWith, useProcesses } from '../support/api-process';
import { query, useDatabases, withDatabase } from '../support/databases';
import { testEnvironment } from '../support/environment';
import { EVENT, expectProblem, type EventBody } from '../support/events';
import { send } from '../support/http';
import { until } from '../support/services';

const MIGRATIONS = (schema.migrations as { name: string }[]).map(({ name }) => name);

/** What `launchProcess` says of a start that fails. */
async function failure(starting: { listening(): Promise<unknown> }): Promise<EndedEarly> {
  const error: unknown = await starting.listening().then(
    () => 'it listens',
    (reason: unknown) => reason,
  );
  if (!(error instanceof EndedEarly)) throw new Error(String(error));
  return error;
}

describe('the start of a process', () => {
  // In this order: the processes end before their databases go.
  const launch = useProcesses();
  const createDatabase = useDatabases();
  let later: string | undefined;

  afterEach(async () => {
    if (later !== undefined)
      await query(testEnvironment().postgresUrl, `DROP DATABASE IF EXISTS ${later} WITH (FORCE)`);
    later = undefined;
  });

  /** The address of a database that is not there yet, and what makes it. */
  function absentDatabase(): { url: string; create: () => Promise<unknown> } {
    const { postgresUrl } = testEnvironment();
    const name = (later = `eventdeck_test_${randomBytes(6).toString('hex')}`);
    return { url: withDatabase(postgresUrl, name), create: () => query(postgresUrl, `CREATE DATABASE ${name}`) };
  }

  it('needs no database: it says so, and serves by itself once there is one', async () => {
    const { url, create } = absentDatabase();
    const process = await launch({ DATABASE_URL: url, MIGRATE_ON_START: 'true' }).listening();
    const status = async (path: string): Promise<number> => (await send('GET', process.url + path)).status;
    expect(await status('/health/live')).toBe(200);
    expect(await status('/health/ready')).toBe(503);
    expect(await status('/health')).toBe(503);
    expect(await status('/api/health')).toBe(200);
    const requests: [method: string, path: string, json?: unknown][] = [
      ['GET', '/api/events'],
      ['GET', '/api/events?severity=error'],
      ['GET', '/api/events/1'],
      ['GET', '/api/events/stats'],
      ['GET', '/api/events/type/deployment'],
      ['POST', '/api/events', EVENT],
      ['PUT', '/api/events/1', { message: 'changed' }],
      ['PATCH', '/api/events/1', {}],
      ['DELETE', '/api/events/1'],
    ];
    for (const [method, path, json] of requests) {
      const answer = await send(method, process.url + path, { json });
      expectProblem(answer, 503);
      expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    }
    // What is wrong with a request is wrong without a database too.
    expectProblem(await send('POST', `${process.url}/api/events`, { json: {} }), 422);

    const appeared = Date.now();
    await create();
    await until(async () => (await status('/health/ready')) === 200, 'it is ready');
    expect((await send('POST', `${process.url}/api/events`, { json: EVENT })).status).toBe(201);
    const list = (): ReturnType<typeof send<EventBody[]>> =>
      send('GET', `${process.url}/api/events/type/system_startup`);
    await until(async () => (await list()).body.length === 1, 'the start is recorded');
    const [startup] = (await list()).body;
    expect(Date.parse(startup?.timestamp ?? '')).toBeLessThan(appeared);
    expect(Date.parse(startup?.created_at ?? '')).toBeGreaterThanOrEqual(appeared);
    expect(await process.stop()).toBe(0);
  });

  it('obeys a signal that comes before it listens', async () => {
    const starting = launch({ DATABASE_URL: absentDatabase().url });
    await until(() => starting.output().includes('database not available'), 'it looks for its database');
    expect(await starting.stop('SIGTERM')).toBe(0);
    expect(starting.output()).not.toMatch(/"level":"error"|\n\s+at /);
  });

  it('migrates once when four processes start on an empty database', async () => {
    const { url } = await createDatabase(null);
    const variables = { DATABASE_URL: url, MIGRATE_ON_START: 'true' };
    const processes = await Promise.all([1, 2, 3, 4].map(() => launch(variables).listening()));
    for (const process of processes) {
      await until(async () => (await send('GET', `${process.url}/health/ready`)).status === 200, 'it is ready');
      expect((await send('POST', `${process.url}/api/events`, { json: EVENT })).status).toBe(201);
    }
    const applied = await query<{ name: string }>(url, 'SELECT name FROM migrations ORDER BY id');
    expect(applied.map(({ name }) => name)).toEqual(MIGRATIONS);
    const output = processes.map((process) => process.output()).join('');
    for (const name of MIGRATIONS) expect(output.split(`migration ${name} applied`)).toHaveLength(2);
    expect(output).not.toMatch(/"level":"(warn|error)"/);
  });

  it('leaves migrations alone unless told to run them', async () => {
    const { url } = await createDatabase(null);
    const process = await launch({ DATABASE_URL: url }).listening();
    expect((await send('GET', `${process.url}/health/ready`)).status).toBe(503);
    expect((await send('POST', `${process.url}/api/events`, { json: EVENT })).status).toBe(503);
    expect(await query(url, `SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace`)).toEqual([]);
  });

  it('ends when told to while another process migrates for long', async () => {
    const { url } = await createDatabase();
    const migrating = new Client({ connectionString: url });
    await migrating.connect();
    try {
      await migrating.query('SELECT pg_advisory_lock($1)', [0x65_76_74_64]);
      const process = await launch({ DATABASE_URL: url, MIGRATE_ON_START: 'true' }).listening();
      expect((await send('GET', `${process.url}/health/ready`)).status).toBe(503);
      expect(await process.stop()).toBe(0);
    } finally {
      await migrating.end();
    }
  });
});

describe('a migration that fails', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();

  it('is named in the log, each line of which is JSON, once however often it is tried', async () => {
    const { url } = await createDatabase(null);
    // Of a name that a migration wants.
    await query(url, 'CREATE VIEW service_runs AS SELECT 1');
    const process = await launch({ DATABASE_URL: url, MIGRATE_ON_START: 'true', LOG_LEVEL: 'trace' }).listening();
    const failed = 'CreateServiceRuns1763700100000\\" failed';
    await until(() => linesWith(process, failed).length >= 2, 'it is tried again');
    const parsed = process
      .output()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { level: unknown; msg: string });
    const failures = parsed.filter(({ msg }) => /^Migration ".*" failed/.test(msg));
    expect(failures[0]?.msg).toMatch(/^Migration "CreateServiceRuns1763700100000" failed, error: .*service_runs/);
    expect(new Set(failures.map(({ level }) => level)).size).toBe(2);
    expect(failures.filter(({ level }) => level === failures[0]?.level)).toHaveLength(1);
  });
});

describe('a start that cannot be', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();

  it('names every problem of the configuration at once', async () => {
    const { code, output } = await failure(
      launch({
        PORT: '70000',
        HOST: '0.0.0.0',
        LOG_LEVEL: 'loud',
        RATE_LIMIT_PER_MINUTE: '-1',
        MIGRATE_ON_START: 'perhaps',
        DATABASE_URL: 'mysql://root:hunter2@db/x',
        CACHE: 'redis',
      }),
    );
    expect(code).toBe(1);
    const lines = output.trim().split('\n');
    expect(lines).toHaveLength(8);
    const names = 'PORT HOST LOG_LEVEL RATE_LIMIT_PER_MINUTE MIGRATE_ON_START DATABASE_URL CACHE'.split(' ');
    for (const name of names) {
      expect(lines.filter((line) => line.startsWith(`  - ${name}`))).toHaveLength(1);
    }
    expect(output).not.toMatch(/hunter2|\n\s+at /);
  });

  it('refuses to be open to the network without a token', async () => {
    const { code, output } = await failure(launch({ HOST: '0.0.0.0', DATABASE_URL: 'postgres://127.0.0.1/x' }));
    expect(code).toBe(1);
    expect(output).toMatch(/API_TOKEN.*ALLOW_ANONYMOUS/);
    expect(output).not.toMatch(/\n\s+at /);
  });

  it('says in one line that its port is taken', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    try {
      const { url } = await createDatabase();
      const { code, output } = await failure(launch({ PORT: String(port), LOG_LEVEL: 'warn', DATABASE_URL: url }));
      expect(code).toBe(1);
      const lines = output.split('\n').filter((line) => line.includes('EADDRINUSE'));
      expect(lines).toEqual([`listen EADDRINUSE: address already in use 127.0.0.1:${port}`]);
      expect(output).not.toMatch(/\n\s+at /);
    } finally {
      await new Promise((resolve) => taken.close(resolve));
    }
  });
});
