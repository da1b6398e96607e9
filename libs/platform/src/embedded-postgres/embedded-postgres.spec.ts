import { chmod, link, mkdir, readFile, readdir, rm, rmdir, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Client } from 'pg';
import {
  cluster,
  dataDir,
  failure,
  folder,
  isRoot,
  killGroup,
  listen,
  messages,
  mode,
  postmaster,
  query,
  serves,
  spawnStarter,
  start,
  until,
} from '../../../../test/support/embedded-cluster';
import { listProcesses } from '../../../../test/support/process-list';

describe('a first start', () => {
  it('serves a UTF-8 database of its own with the settings asked for', async () => {
    const { url, dataDir: used } = await start();
    expect(url).toMatch(/^postgres:\/\/eventdeck:[\w-]{32}@127\.0\.0\.1:\d+\/eventdeck$/);
    expect(used).toBe(dataDir);
    expect(await query(url, 'SELECT version()')).toContain('PostgreSQL 18');
    expect(await query(url, "SELECT upper('straße, \u00e9')")).toBe('STRASSE, \u00c9'.replace('SS', 'ß'));
    expect(await query(url, 'SHOW server_encoding')).toBe('UTF8');
    expect(await query(url, 'SHOW max_connections')).toBe('20');
    expect(await query(url, 'SHOW timezone')).toBe('UTC');
  });

  it('keeps cluster and password to its account', async () => {
    await start();
    expect(await mode(cluster())).toBe('700');
    expect(await mode(path.join(cluster(), 'eventdeck-password'))).toBe('600');
    expect(await mode(path.join(dataDir, 'postgresql.log'))).toBe('600');
    if (isRoot) expect((await stat(cluster())).uid).not.toBe(0);
  });

  it('refuses a wrong password', async () => {
    const { url } = await start();
    await expect(query(url.replace(/:[^:@]+@/, ':wrong@'), 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  });

  it('listens on the loopback address only', async () => {
    const { url } = await start();
    const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0');
    const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8')));
    const rows = tables.flatMap((table) => table.split('\n').map((line) => line.trim().split(/\s+/)));
    const listening = rows.filter((row) => row[1]?.endsWith(`:${port}`) && row[3] === '0A').map((row) => row[1]);
    expect(listening).toEqual([`0100007F:${port}`]);
    expect(await query(url, 'SHOW unix_socket_directories')).toBe('');
  });

  it('goes on where a start that was killed in the middle left half a cluster', async () => {
    const starter = spawnStarter('linger');
    const halfMade = async (): Promise<string[]> => {
      const names = await readdir(dataDir).catch(() => []);
      return names.filter((name) => name.startsWith('.initializing-'));
    };
    await until(async () => {
      const names = await halfMade();
      return names[0] !== undefined && (await listProcesses(path.join(dataDir, names[0]))).length > 0;
    });
    await killGroup(starter);
    await until(async () => (await listProcesses(dataDir)).length === 0);
    expect(await halfMade()).toHaveLength(1);

    const { url } = await start();
    expect(await serves(url)).toBe(true);
    expect(await halfMade()).toEqual([]);
  });
});

describe('stop', () => {
  it('leaves no process, may be called again, and keeps the data for the next start', async () => {
    const first = await start();
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    expect(await listProcesses(dataDir)).not.toEqual([]);
    await Promise.all([first.stop(), first.stop()]);
    await first.stop();
    expect(await listProcesses(dataDir)).toEqual([]);

    const second = await start();
    expect(await query(second.url, 'SELECT answer FROM kept')).toBe(42);
  });

  it('does not wait for clients', async () => {
    const instance = await start();
    const client = new Client({ connectionString: instance.url });
    client.on('error', () => undefined);
    await client.connect();
    const lost = expect(client.query('SELECT pg_sleep(60)')).rejects.toMatchObject({ code: '57P01' });
    await until(
      async () =>
        (await query(instance.url, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")) === '1',
    );
    await instance.stop();
    await lost;
    expect(await listProcesses(dataDir)).toEqual([]);
  });
});

describe('a second start in the same folder', () => {
  it('is refused and leaves the first one alone', async () => {
    const first = await start();
    const pid = await postmaster();
    expect((await listen(spawnStarter('linger'))).error).toBe(
      `The data folder ${dataDir} is in use by another eventdeck process.`,
    );
    expect(await serves(first.url)).toBe(true);
    expect(await postmaster()).toBe(pid);
  });

  it('is refused at the same moment too, when there is no cluster yet', async () => {
    const answers = await Promise.all([spawnStarter('linger'), spawnStarter('linger')].map(listen));
    const winners = answers.filter((answer) => answer.url !== undefined);
    expect(winners).toHaveLength(1);
    expect(answers.find((answer) => answer.error !== undefined)?.error).toContain(
      'in use by another eventdeck process',
    );
    expect(await serves(winners[0]?.url ?? '')).toBe(true);
    expect((await readdir(dataDir)).sort()).toEqual(['cluster', 'postgresql.log']);
  });
});

describe('a folder that cannot be used', () => {
  it('is left alone when it holds something else', async () => {
    await mkdir(dataDir);
    await writeFile(path.join(dataDir, 'holiday.jpg'), 'sea');
    expect(await failure()).toMatch(/holds something else than eventdeck's database \(holiday\.jpg\)/);
    expect(await readdir(dataDir)).toEqual(['holiday.jpg']);
  });

  it("is left alone when 'cluster' in it is not ours", async () => {
    await mkdir(cluster(), { recursive: true });
    await writeFile(path.join(cluster(), 'notes.txt'), 'mine');
    expect(await failure()).toContain(`${cluster()} is not a PostgreSQL cluster made by eventdeck.`);
    expect(await readdir(cluster())).toEqual(['notes.txt']);
  });

  it('is named when it is a file', async () => {
    await writeFile(dataDir, 'a file');
    expect(await failure()).toMatch(/^The data folder .* cannot be used: .*a file, not a folder\.$/);
  });

  it('has no log written through a link', async () => {
    await (await start()).stop();
    const stranger = path.join(folder, 'stranger');
    const log = path.join(dataDir, 'postgresql.log');
    await writeFile(stranger, 'mine');
    const { uid } = await stat(stranger);
    for (const makeLink of [symlink, link]) {
      await rm(log);
      await makeLink(stranger, log);
      await failure();
      expect([await readFile(stranger, 'utf8'), (await stat(stranger)).uid]).toEqual(['mine', uid]);
    }
  });

  it('keeps the cluster of another major version', async () => {
    await (await start()).stop();
    await writeFile(path.join(cluster(), 'PG_VERSION'), '17\n');
    expect(await failure()).toContain('is of PostgreSQL 17, but the one installed here is PostgreSQL 18');
  });

  it('keeps a damaged cluster and says what PostgreSQL says', async () => {
    await (await start()).stop();
    await truncate(path.join(cluster(), 'global', 'pg_control'), 10);
    const before = await readdir(cluster());
    const [sentence, ...output] = (await failure()).split('\n');
    expect(sentence).toContain(
      `PostgreSQL ended while it started on ${cluster()}: could not read file "global/pg_control"`,
    );
    expect(output.join('\n')).toContain('pg_control');
    expect(await readdir(cluster())).toEqual(expect.arrayContaining(before));
    expect(await listProcesses(dataDir)).toEqual([]);
  });
});

describe('a folder that the account cannot reach', () => {
  // Root runs PostgreSQL as another account and has another place for it; an ordinary user has neither.
  const unreachable = isRoot ? keepsDataElsewhere : isRefused;

  it(isRoot ? 'is replaced by another, which is said and found again' : 'is refused', unreachable);

  async function isRefused(): Promise<void> {
    await chmod(folder, 0o500);
    try {
      expect(await failure()).toContain('permission denied');
    } finally {
      await chmod(folder, 0o700);
    }
  }

  async function keepsDataElsewhere(): Promise<void> {
    await chmod(folder, 0o700);
    const first = await start();
    try {
      expect(first.dataDir).toMatch(/^\/var\/lib\/eventdeck\/[0-9a-f]{12}$/);
      expect(messages.join()).toContain(`keeps the data in ${first.dataDir}`);
      await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
      await first.stop();
      const second = await start();
      expect(second.dataDir).toBe(first.dataDir);
      expect(await query(second.url, 'SELECT answer FROM kept')).toBe(42);
      expect(await mode(folder)).toBe('700');
      await second.stop();
    } finally {
      await rm(first.dataDir, { recursive: true, force: true });
      await rmdir('/var/lib/eventdeck').catch(() => undefined);
    }
  }
});
