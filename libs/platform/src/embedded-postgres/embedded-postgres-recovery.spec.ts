import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import {
  children,
  cluster,
  dataDir,
  failure,
  kill,
  killGroup,
  listen,
  messages,
  pidFile,
  postmaster,
  query,
  serves,
  spawnStarter,
  start,
  until,
} from '../../../../test/support/embedded-cluster';
import { listProcesses } from '../../../../test/support/process-list';

describe('a PostgreSQL whose parent was killed', () => {
  it('is taken over with its data and stopped by the new owner', async () => {
    const starter = spawnStarter('linger');
    const { url = '' } = await listen(starter);
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const pid = await postmaster();
    await killGroup(starter);

    const heir = await start();
    expect(heir.url).toBe(url);
    expect(await postmaster()).toBe(pid);
    expect(await query(heir.url, 'SELECT answer FROM kept')).toBe(42);
    expect(messages.join()).toContain(`still running (pid ${pid})`);
    await heir.stop();
    expect(await listProcesses(dataDir)).toEqual([]);
  });

  it('is brought back by the new owner when it is killed', async () => {
    const starter = spawnStarter('linger');
    await listen(starter);
    await killGroup(starter);
    const heir = await start();
    const pid = await postmaster();
    kill(pid);
    await until(async () => (await serves(heir.url)) && (await postmaster()) !== pid);
  });

  it('is followed by a new one when it was killed too and its pid now belongs to another process', async () => {
    const starter = spawnStarter('linger');
    await listen(starter);
    await killGroup(starter);
    const pid = await postmaster();
    kill(pid);
    await until(async () => (await listProcesses(dataDir)).length === 0);
    const { uid, gid } = await stat(cluster());
    const stranger = spawn('sleep', ['600'], { uid, gid, stdio: 'ignore', cwd: '/' });
    children.push(stranger);
    await writeFile(pidFile(), (await readFile(pidFile(), 'utf8')).replace(String(pid), String(stranger.pid)));

    const { url } = await start();
    expect(await serves(url)).toBe(true);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
  });

  it('does not keep Node from ending', async () => {
    const starter = spawnStarter('end');
    const gone = once(starter, 'exit');
    const { url = '' } = await listen(starter);
    expect(await gone).toEqual([0, null]);
    expect(await serves(url)).toBe(true);
  });
});

describe('a PostgreSQL that is killed', () => {
  it('comes back by itself on the same port, every time, and still belongs to us', async () => {
    const { url } = await start();
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    for (let round = 1; round <= 2; round += 1) {
      const pid = await postmaster();
      kill(pid);
      await until(async () => (await serves(url)) && (await postmaster()) !== pid);
      await until(() => messages.filter((message) => message.includes('serves again')).length === round);
    }
    expect(await query(url, 'SELECT answer FROM kept')).toBe(42);
    expect(await failure()).toContain('in use by another eventdeck process');
  });

  it('comes back when it is killed again while it is brought back', async () => {
    const { url } = await start();
    for (let round = 1; round <= 4; round += 1) {
      const pid = await postmaster();
      kill(pid);
      await until(async () => (await postmaster().catch(() => pid)) !== pid);
    }
    await until(() => serves(url));
    await until(async () => (await query(url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) === '1');
  });

  it('takes its lock again when only the lock was lost', async () => {
    const { url } = await start();
    const pid = await postmaster();
    await query(url, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'");
    await until(() => messages.some((message) => message.includes('serves again')));
    expect(await query(url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).toBe('1');
    expect(await postmaster()).toBe(pid);
  });

  it('does not come back after stop', async () => {
    const instance = await start();
    kill(await postmaster());
    await until(() => messages.some((message) => message.includes('bringing it back')));
    await instance.stop();
    expect(await listProcesses(dataDir)).toEqual([]);
  });
});
