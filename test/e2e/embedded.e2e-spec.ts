import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EndedEarly, useProcesses, type ApiProcess } from '../support/api-process';
import { query } from '../support/databases';
import { EVENT, type EventBody } from '../support/events';
import { send } from '../support/http';
import { until } from '../support/services';

describe('a process with the embedded PostgreSQL', () => {
  const launch = useProcesses();
  let folder: string;
  let variables: Record<string, string>;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'eventdeck-test-'));
    // As root PostgreSQL runs as another account, which has to reach its data.
    chmodSync(folder, 0o755);
    variables = { DATA_DIR: join(folder, 'data') };
  });

  afterEach(async () => {
    const pid = existsSync(pidFile()) ? postgresPid() : undefined;
    if (pid !== undefined && isRunning(pid)) {
      process.kill(pid, 'SIGQUIT');
      await gone(pid);
    }
    rmSync(folder, { recursive: true, force: true });
  });

  const pidFile = (): string => join(folder, 'data/cluster/postmaster.pid');
  const postgresPid = (): number => Number(readFileSync(pidFile(), 'utf8').split('\n')[0]);

  /** Starts in the folder, and tells the pid of its PostgreSQL. */
  async function start(): Promise<{ api: ApiProcess; postgres: number }> {
    const api = await launch(variables).listening();
    // On a machine under load it may listen before its database is migrated.
    await until(async () => (await send('GET', `${api.url}/health/ready`)).status === 200, 'it is ready');
    return { api, postgres: postgresPid() };
  }

  /** SQL on the cluster, past the application. */
  function sql(text: string): Promise<unknown[]> {
    const password = readFileSync(join(folder, 'data/cluster/eventdeck-password'), 'utf8').trim();
    const port = readFileSync(pidFile(), 'utf8').split('\n')[3] ?? '';
    return query(`postgres://eventdeck:${password}@127.0.0.1:${port}/eventdeck`, text);
  }

  it('is ready with an empty folder, and keeps events over a stop and a start', async () => {
    const first = await start();
    expect((await send('GET', `${first.api.url}/health/ready`)).status).toBe(200);
    expect((await send('GET', `${first.api.url}/api/health`)).body).toMatchObject({ mode: 'embedded' });
    const created = await send<EventBody>('POST', `${first.api.url}/api/events`, { json: EVENT });
    expect(created.status).toBe(201);
    expect(isRunning(first.postgres)).toBe(true);
    expect(await first.api.stop('SIGTERM')).toBe(0);
    await gone(first.postgres);

    const second = await start();
    const path = created.headers.get('location') ?? '';
    expect((await send('GET', second.api.url + path)).text).toBe(created.text);
    const ends = await send<EventBody[]>('GET', `${second.api.url}/api/events/type/system_shutdown`);
    expect(ends.body).toMatchObject([{ details: { reason: 'SIGTERM' } }]);
    expect(await second.api.stop('SIGINT')).toBe(0);
    await gone(second.postgres);
  });

  it('takes over the PostgreSQL that a killed one left, keeps its events and reports the crash at once', async () => {
    const killed = await start();
    const created = await send<EventBody>('POST', `${killed.api.url}/api/events`, { json: EVENT });
    expect(created.status).toBe(201);
    await until(async () => (await sql('SELECT FROM service_runs')).length === 1, 'the run is known');
    await killed.api.stop('SIGKILL');
    expect(isRunning(killed.postgres)).toBe(true);

    const next = await start();
    expect(next.postgres).toBe(killed.postgres);
    expect((await send('GET', next.api.url + created.headers.get('location'))).text).toBe(created.text);
    const crashes = (): ReturnType<typeof send<EventBody[]>> =>
      send('GET', `${next.api.url}/api/events/type/system_crash`);
    await until(async () => (await crashes()).body.length > 0, 'the crash is reported');
    expect((await crashes()).body).toMatchObject([{ severity: 'critical', details: { pid: killed.api.child.pid } }]);
    expect(await next.api.stop()).toBe(0);
    await gone(next.postgres);

    const last = await start();
    const starts = await send<EventBody[]>('GET', `${last.api.url}/api/events/type/system_startup`);
    expect(starts.body.length).toBeGreaterThanOrEqual(2);
    expect((await send<EventBody[]>('GET', `${last.api.url}/api/events/type/system_crash`)).body).toHaveLength(1);
    expect(await last.api.stop()).toBe(0);
  });

  it('refuses a folder that another process uses, and leaves that one alone', async () => {
    const first = await start();
    const refused: unknown = await launch(variables)
      .listening()
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(EndedEarly);
    expect(refused).toMatchObject({
      code: 1,
      output: expect.stringContaining('in use by another eventdeck') as string,
    });
    expect((refused as EndedEarly).output).not.toMatch(/\n\s+at /);
    expect((await send('POST', `${first.api.url}/api/events`, { json: EVENT })).status).toBe(201);
    expect(await first.api.stop()).toBe(0);
  });

  it('leaves no PostgreSQL behind when its port is taken', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    variables.PORT = String((taken.address() as AddressInfo).port);
    try {
      await expect(start()).rejects.toMatchObject({ code: 1 });
    } finally {
      await new Promise((resolve) => taken.close(resolve));
    }
    expect(existsSync(pidFile())).toBe(false);
    expect(readFileSync(join(folder, 'data/postgresql.log'), 'utf8')).toContain('database system is shut down');
  });
});

// One that was taken over is nobody's child: it is there until the system has taken note of its end.
function gone(pid: number): Promise<void> {
  return until(() => !isRunning(pid), 'PostgreSQL is gone');
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
