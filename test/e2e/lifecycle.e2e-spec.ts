import { useProcesses } from '../support/api-process';
import { movableClock } from '../support/database-clock';
import { query, useDatabases } from '../support/databases';
import { EVENT, type EventBody } from '../support/events';
import { send } from '../support/http';
import { until } from '../support/services';
import { lockEvents } from '../support/table-lock';

interface Run {
  id: string;
  host: string;
  pid: number;
  version: string;
  heartbeat_at: Date;
  expires_at: Date;
  ended_at: Date | null;
  outcome: string | null;
}

const eventsOf = (url: string, type: string): Promise<Omit<EventBody, 'id'>[]> =>
  query(url, 'SELECT * FROM system_events WHERE event_type = $1 ORDER BY id', [type]);
const runsOf = (url: string): Promise<Run[]> => query<Run>(url, 'SELECT * FROM service_runs');
const runOf = async (url: string, pid: number | undefined): Promise<Run> => {
  const run = (await runsOf(url)).find((candidate) => candidate.pid === pid);
  if (!run) throw new Error(`no run with the pid ${pid}`);
  return run;
};

describe('the life of a process', () => {
  // In this order: the processes end before their databases go.
  const launch = useProcesses();
  const createDatabase = useDatabases();

  it('records its start, with what it is', async () => {
    const { url } = await createDatabase();
    const process = await launch({ DATABASE_URL: url, SERVICE_NAME: 'deck-7' }).listening();
    await until(async () => (await eventsOf(url, 'system_startup')).length === 1, 'the start is recorded');
    const [startup] = await eventsOf(url, 'system_startup');
    expect(startup).toMatchObject({ severity: 'info', source: 'deck-7', message: 'deck-7 0.1.0 started' });
    expect(startup?.details).toEqual({
      startup_ms: expect.any(Number) as number,
      version: '0.1.0',
      node: globalThis.process.version,
      host: expect.stringMatching(/./) as string,
      database: 'external',
      cache: 'off',
    });
    expect(await runOf(url, process.child.pid)).toMatchObject({ version: '0.1.0', ended_at: null, outcome: null });
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('ends properly on %s', async (signal) => {
    const { url } = await createDatabase();
    const process = await launch({ DATABASE_URL: url }).listening();
    expect(await process.stop(signal)).toBe(0);
    const [shutdown, ...others] = await eventsOf(url, 'system_shutdown');
    expect(others).toEqual([]);
    expect(shutdown).toMatchObject({ severity: 'info', source: 'eventdeck' });
    expect(shutdown?.details).toMatchObject({ reason: signal, uptime_seconds: expect.any(Number) as number });
    expect(await eventsOf(url, 'system_startup')).toHaveLength(1);
    const run = await runOf(url, process.child.pid);
    expect(run).toMatchObject({ outcome: 'shutdown', ended_at: expect.any(Date) as Date });
    expect(process.output()).not.toMatch(/"level":"(warn|error|fatal)"/);
  });

  // Ctrl-C reaches npm and the process alike, and npm passes it on.
  it('takes the same signal twice at once for one', async () => {
    const { url } = await createDatabase();
    const process = await launch({ DATABASE_URL: url }).listening();
    process.child.kill('SIGINT');
    expect(await process.stop('SIGINT')).toBe(0);
    expect(await eventsOf(url, 'system_shutdown')).toHaveLength(1);
  });

  it('says itself how long it may be silent', async () => {
    const { url } = await createDatabase();
    const process = await launch({ DATABASE_URL: url, HEARTBEAT_SECONDS: '60' }).listening();
    await until(async () => (await runsOf(url)).length === 1, 'the run is there');
    const { heartbeat_at, expires_at } = await runOf(url, process.child.pid);
    // Three heartbeats, and the limits on connecting (2 s) and on a statement (5 s).
    expect(expires_at.getTime() - heartbeat_at.getTime()).toBe(187_000);
  });

  it('is not ready but serves and says that it lives during SHUTDOWN_DELAY_MS, and ends at once on a second signal', async () => {
    const { url } = await createDatabase();
    const variables = { DATABASE_URL: url, SHUTDOWN_DELAY_MS: '15000', HEARTBEAT_SECONDS: '1' };
    const process = await launch(variables).listening();
    expect((await send('GET', `${process.url}/health/ready`)).status).toBe(200);

    const ended = process.stop('SIGTERM');
    await until(async () => (await send('GET', `${process.url}/health/ready`)).status === 503, 'it is not ready');
    expect((await send('GET', `${process.url}/health/ready`)).body).toMatchObject({ status: 'shutting_down' });
    expect((await send('GET', `${process.url}/health/live`)).status).toBe(200);
    expect((await send('GET', `${process.url}/health`)).status).toBe(503);
    expect((await send('POST', `${process.url}/api/events`, { json: EVENT })).status).toBe(201);
    expect((await send('GET', `${process.url}/api/events`)).status).toBe(200);
    const { heartbeat_at: before } = await runOf(url, process.child.pid);
    await until(async () => (await runOf(url, process.child.pid)).heartbeat_at > before, 'it says that it lives');
    // A shutdown is no illness.
    expect(await eventsOf(url, 'health_check')).toEqual([]);

    process.child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(await eventsOf(url, 'system_shutdown')).toEqual([]);
  });

  it('answers what it was asked before it ends', async () => {
    const { url } = await createDatabase();
    const variables = { DATABASE_URL: url, DATABASE_STATEMENT_TIMEOUT_MS: '60000' };
    const process = await launch(variables).listening();
    await until(async () => (await eventsOf(url, 'system_startup')).length === 1, 'the start is recorded');
    const lock = await lockEvents({ databaseUrl: url });
    try {
      // One for each way to store an event, as all that comes one way waits in one statement.
      const posts = [
        send('POST', `${process.url}/api/events`, { json: EVENT }),
        send('POST', `${process.url}/api/events`, { json: EVENT, headers: { 'idempotency-key': 'waits' } }),
        send('POST', `${process.url}/api/events/batch`, { json: [EVENT] }),
      ];
      await lock.waiters(3);

      const ended = process.stop('SIGTERM');
      const refuses = (): Promise<boolean> =>
        send('GET', `${process.url}/health/live`).then(
          () => false,
          () => true,
        );
      await until(refuses, 'it takes no new connections');
      await lock.release();

      const answers = await Promise.all(posts);
      expect(answers.map(({ status }) => status)).toEqual([201, 201, 200]);
      expect(await ended).toBe(0);
      const stored = await eventsOf(url, EVENT.event_type);
      expect(stored).toHaveLength(3);
      expect(await eventsOf(url, 'system_shutdown')).toHaveLength(1);
    } finally {
      await lock.release();
    }
  });

  it('is not taken for crashed by a clock that jumps, and is when it is killed then', async () => {
    const { url } = await createDatabase();
    const clock = await movableClock(url);
    const variables = { DATABASE_URL: url, HEARTBEAT_SECONDS: '1' };
    const [victim, ...others] = await Promise.all([1, 2, 3].map(() => launch(variables).listening()));
    const everybodySpoke = async (): Promise<void> => {
      const spoken = async (): Promise<number[]> =>
        Promise.all(
          [...(victim ? [victim] : []), ...others].map(async ({ child }) =>
            Number((await runOf(url, child.pid)).heartbeat_at),
          ),
        );
      for (let round = 0; round < 2; round++) {
        const before = await spoken();
        const changed = async (): Promise<boolean> => (await spoken()).every((at, index) => at !== before[index]);
        await until(changed, 'every process has spoken');
      }
    };
    await until(async () => (await runsOf(url)).length === 3, 'all three runs are known');
    // Once the crash of another run is reported, somebody looks for crashes.
    await query(
      url,
      `INSERT INTO service_runs (id, service_name, host, pid, version, heartbeat_at, expires_at)
       VALUES (gen_random_uuid(), 'other', 'other', 0, '0', now() - interval '1 hour', now() - interval '59 minutes 50 seconds')`,
    );
    await until(async () => (await eventsOf(url, 'system_crash')).length === 1, 'a crash is reported', 60_000);
    for (const hours of [1, 960, 0]) {
      await everybodySpoke();
      await clock.set(hours);
    }
    await everybodySpoke();
    expect(await eventsOf(url, 'system_crash')).toHaveLength(1);

    await clock.set(960);
    await everybodySpoke();
    await victim?.stop('SIGKILL');
    await clock.set(0);
    await until(async () => (await eventsOf(url, 'system_crash')).length > 1, 'the crash is reported', 60_000);
    const [, crash, ...more] = await eventsOf(url, 'system_crash');
    expect([crash?.details?.pid, more]).toEqual([victim?.child.pid, []]);
  });

  it('is reported once by one of the others when it is killed', async () => {
    const { url } = await createDatabase();
    const variables = { DATABASE_URL: url, HEARTBEAT_SECONDS: '1' };
    const [victim, ...survivors] = await Promise.all([1, 2, 3].map(() => launch(variables).listening()));
    const pid = victim?.child.pid;
    await until(async () => (await runsOf(url)).length === 3, 'all three runs are known');
    const { id, host, version } = await runOf(url, pid);
    expect(await victim?.stop('SIGKILL')).toBeNull();

    await until(async () => (await eventsOf(url, 'system_crash')).length > 0, 'the crash is reported');
    const heartbeats = async (): Promise<number[]> =>
      Promise.all(survivors.map(async ({ child }) => (await runOf(url, child.pid)).heartbeat_at.getTime()));
    for (const round of ['first', 'second']) {
      const before = await heartbeats();
      const moved = async (): Promise<boolean> => (await heartbeats()).every((at, index) => at > (before[index] ?? 0));
      await until(moved, `each survivor looked again, the ${round} time`);
    }
    const [crash, ...others] = await eventsOf(url, 'system_crash');
    expect(others).toEqual([]);
    expect(crash).toMatchObject({ severity: 'critical', source: 'eventdeck' });
    expect(crash?.details).toEqual({
      run: id,
      service: 'eventdeck',
      host,
      pid,
      version,
      started_at: expect.any(String) as string,
      last_heartbeat_at: (await runOf(url, pid)).heartbeat_at.toISOString(),
    });
    expect(await runOf(url, pid)).toMatchObject({ outcome: 'crash', ended_at: expect.any(Date) as Date });
    for (const { child } of survivors) expect(await runOf(url, child.pid)).toMatchObject({ ended_at: null });
  });
});
