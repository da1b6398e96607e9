import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  constants,
  copyFile,
  type FileHandle,
  lstat,
  open,
  readFile,
  readlink,
  realpath,
  rm,
  statfs,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cleanEnvironment, identity } from './account';
import type { Cluster } from './cluster';
import { codeOf, EmbeddedPostgresError, toEmbeddedPostgresError } from './error';

/** What `postmaster.pid` says of the server that runs, or ran, in a cluster. */
export interface Postmaster {
  pid: number;
  port: number;
  /** Whether it says that it accepts connections. */
  ready: boolean;
}

/** A postmaster we started; it goes on when we end. */
export interface Launched {
  pid: number;
  /** Whether it has ended, as far as we were told. */
  hasExited: () => boolean;
  /** Resolves when it has ended. */
  exited: Promise<void>;
  /** With which signal or exit code it has ended. */
  describeEnd: () => string;
  /** What it printed since it was started. */
  readOutput: () => Promise<string>;
}

/** Above this size in bytes the log moves to `postgresql.log.old`, so that both together keep below about twice it. */
const LOG_LIMIT = 10 * 1024 * 1024;
const LOG_CHECK_MS = 60_000;
const OUTPUT_LIMIT = 64 * 1024;
const POLL_MS = 10;

/** Smart shutdown would wait for clients: fast, then immediate (the next start recovers), then by force. */
const SHUTDOWN: readonly (readonly [NodeJS.Signals, number])[] = [
  ['SIGINT', 10_000],
  ['SIGQUIT', 5000],
  ['SIGKILL', 5000],
];

/**
 * Ports below the ranges systems take for outgoing connections: while PostgreSQL restarts, none of these, not even
 * that of a client trying to reconnect, can take its port.
 */
const FIRST_PORT = 15_000;
const PORT_COUNT = 10_000;
const PORT_ATTEMPTS = 50;

/** The folders of the servers this process started, by pid: just started, one does not look like a server yet. */
const children = new Map<number, string>();

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A port nothing listens on at this moment. Another may take it before PostgreSQL does: the caller tries again. */
export async function findFreePort(): Promise<number> {
  const pick = (): number => FIRST_PORT + Math.floor(Math.random() * PORT_COUNT);
  let port = pick();
  for (let attempt = 1; attempt < PORT_ATTEMPTS && !(await isFree(port)); attempt += 1) port = pick();
  return port;
}

/** Reads `postmaster.pid`: line 1 the pid, line 4 the port, line 8 the state. Undefined when absent or incomplete. */
export async function readPostmaster(cluster: Cluster): Promise<Postmaster | undefined> {
  const text = await readFile(path.join(cluster.folder, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  const port = Number(lines[3]);
  return pid > 0 && port > 0 ? { pid, port, ready: lines[7]?.trim() === 'ready' } : undefined;
}

/** Whether the process runs; one that ended, but whose parent has not asked how, does not. */
async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') return false;
  }
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return !/^[ZX]/.test(status.slice(status.lastIndexOf(')') + 2));
}

/**
 * Whether the process is a PostgreSQL server on this cluster: after a restart of the system a pid that was left in
 * `postmaster.pid` can belong to anything. Where there is no /proc, every living process is taken for one.
 */
export async function isServing(pid: number, cluster: Cluster): Promise<boolean> {
  if (!(await isAlive(pid))) return false;
  if (children.has(pid)) return children.get(pid) === cluster.folder;
  if (process.platform !== 'linux') return true;
  const folder = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  if (folder !== undefined) return folder === (await realpath(cluster.folder));
  // In a container even root may lack the right to see where another account's process is; its name is public.
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  return name.trim() === 'postgres';
}

/** Moves the log aside when it is too long. PostgreSQL appends, so that its output goes on in the emptied file. */
async function boundLog(file: string): Promise<void> {
  const { size } = await lstat(file);
  if (size <= LOG_LIMIT) return;
  const log = await open(file, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    await rm(`${file}.old`, { force: true });
    await copyFile(file, `${file}.old`, constants.COPYFILE_EXCL).finally(() => log.truncate());
  } finally {
    await log.close();
  }
}

/** Bounds the log now and every minute, until the returned function is called. Fails soft. */
export async function keepLogBounded(cluster: Cluster): Promise<() => void> {
  const check = (): Promise<void> => boundLog(cluster.logFile).catch(() => undefined);
  await check();
  const timer = setInterval(() => void check(), LOG_CHECK_MS).unref();
  return () => clearInterval(timer);
}

async function readFrom(file: string, start: number): Promise<string> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const from = Math.max(size < start ? 0 : start, size - OUTPUT_LIMIT);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - from), 0, size - from, from);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** A full disk takes the log too, or cuts it short: the disk itself is asked. */
async function readOutput(cluster: Cluster, start: number): Promise<string> {
  const output = await readFrom(cluster.logFile, start).catch(() => '');
  const disk = await statfs(cluster.folder).catch(() => undefined);
  return disk?.bavail === 0 ? `${output}\nFATAL:  No space left on device` : output;
}

function serverArguments(cluster: Cluster, port: number, settings: Record<string, string>): string[] {
  const all = {
    shared_buffers: '128MB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    ...settings,
    logging_collector: 'off',
    log_destination: 'stderr',
    lc_messages: 'C',
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port: String(port),
  };
  return ['-D', cluster.folder, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

/**
 * The pid left in `postmaster.pid` when that process lives, but is no PostgreSQL of ours. PostgreSQL would refuse to
 * start; as its "grandparent" (what pg_ctl uses for a shell that started it) it knows that the pid is stale, and
 * still looks for shared memory in use by what remains of the former server.
 */
async function staleEnvironment(cluster: Cluster): Promise<Record<string, string>> {
  const found = await readPostmaster(cluster);
  return found && !(await isServing(found.pid, cluster)) ? { PG_GRANDPARENT_PID: String(found.pid) } : {};
}

/** Root must neither write to nor give away what the folder's owner put there instead: no link is followed. */
async function openLog(file: string): Promise<FileHandle> {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  const log = await open(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  const { nlink } = await log.stat();
  if (nlink === 1) return log;
  await log.close();
  throw new EmbeddedPostgresError(`The log ${file} is a link to another file: remove it.`);
}

/**
 * Starts PostgreSQL in a session of its own: Ctrl-C in our terminal does not reach it, and it never keeps us alive.
 * @throws EmbeddedPostgresError when the program cannot be run; that it ends soon after shows in `hasExited()`
 */
export async function launch(cluster: Cluster, port: number, settings: Record<string, string>): Promise<Launched> {
  const { account, binaries, logFile } = cluster;
  try {
    const environment = { ...cleanEnvironment, ...(await staleEnvironment(cluster)) };
    const log = await openLog(logFile);
    try {
      if (account) await log.chown(account.uid, account.gid);
      const start = (await log.stat()).size;
      const child = spawn(binaries.postgres, serverArguments(cluster, port, settings), {
        ...identity(account),
        cwd: '/',
        env: environment,
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        windowsHide: true,
      });
      const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      await once(child, 'spawn');
      child.unref();
      const pid = child.pid ?? 0;
      children.set(pid, cluster.folder);
      return {
        pid,
        exited: exited.then(() => void children.delete(pid)),
        hasExited: () => child.exitCode !== null || child.signalCode !== null,
        describeEnd: () => (child.signalCode ? `ended by ${child.signalCode}` : `exit code ${child.exitCode}`),
        readOutput: () => readOutput(cluster, start),
      };
    } finally {
      await log.close();
    }
  } catch (error) {
    throw toEmbeddedPostgresError(`PostgreSQL could not be started on ${cluster.folder}`, error);
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

/**
 * Ends the server and waits until its process is gone: at most 20 s.
 * @returns false when the process withstood SIGKILL
 */
export async function shutDown(pid: number, cluster: Cluster): Promise<boolean> {
  for (const [signal, patience] of SHUTDOWN) {
    const deadline = Date.now() + patience;
    if (!(await isServing(pid, cluster))) return true;
    send(pid, signal);
    while (Date.now() < deadline) {
      if (!(await isAlive(pid))) return true;
      await delay(POLL_MS);
    }
  }
  return false;
}
