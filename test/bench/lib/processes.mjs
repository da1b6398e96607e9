import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '../../..');
const SERVERS = join(import.meta.dirname, '../servers');

/** Milliseconds for a process to listen, and to stop. */
const START_MS = 30_000;
const STOP_MS = 10_000;

const running = new Set();

/**
 * A built checkout.
 *
 * @returns its `folder`, the `flags` of Node and the `main` file that its `npm start` has, and its `ormConfig`
 */
export function buildIn(folder) {
  const { scripts } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const [, ...start] = scripts.start.split(' ');
  const main = join(folder, start.at(-1));
  return { folder, flags: start.slice(0, -1), main, ormConfig: join(folder, 'dist/ormconfig.js') };
}

const THIS_BUILD = buildIn(ROOT);

/** Ends every process that was started here and still runs. */
export function killAll() {
  for (const child of running) child.kill('SIGKILL');
}

/** Runs a program to its end and returns its standard output. @throws with what it said when it fails */
export async function run(command, args, env = {}) {
  const { closed, output } = launch(command, args, { PATH: process.env.PATH, ...env });
  const code = await closed;
  if (code !== 0) throw new Error(`${basename(command)} ended with ${code}:\n${output.stderr.trim().slice(-2000)}`);
  return output.stdout;
}

/** The first line that a program prints about its version, or `undefined` where it is not installed. */
export async function versionOf(command, flag) {
  const { closed, output } = launch(command, [flag], { PATH: process.env.PATH });
  await closed.catch(() => undefined);
  return (output.stdout + output.stderr).split('\n')[0].trim() || undefined;
}

/**
 * Starts the built application on a free port, with nothing in its environment but what is given.
 *
 * @param flags of Node itself
 */
export function startApp(databaseUrl, cleanup, variables = {}, flags = [], build = THIS_BUILD) {
  const env = { DATABASE_URL: databaseUrl, MIGRATE_ON_START: 'true', CACHE: 'memory', PORT: '0', ...variables };
  return startServer([...flags, ...build.flags, build.main], env, cleanup);
}

/** Starts one of `servers/`. */
export function startReference(name, variables, cleanup) {
  return startServer([join(SERVERS, `${name}.mjs`)], variables, cleanup);
}

/** Runs every migration of a build. */
export async function migrate(databaseUrl, { ormConfig } = THIS_BUILD) {
  const cli = createRequire(ormConfig).resolve('typeorm/cli.js');
  await run(process.execPath, [cli, '-d', ormConfig, 'migration:run'], { DATABASE_URL: databaseUrl });
}

/** Resident memory of a process in bytes, or `undefined` where there is no `/proc`. */
export function residentBytes(pid) {
  try {
    const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kibibytes && Number(kibibytes) * 1024;
  } catch {
    return undefined;
  }
}

async function startServer(args, env, cleanup) {
  // Elsewhere than here, so that a `.env` of a developer changes nothing.
  const server = launch(process.execPath, args, { PATH: process.env.PATH, ...env }, tmpdir());
  cleanup.add(() => stop(server));
  const address = () => /listens on (http:\/\/[^\s"]+)/.exec(server.output.stdout + server.output.stderr)?.[1];
  for (const end = performance.now() + START_MS; !address(); await sleep(20)) {
    if (server.child.exitCode !== null || performance.now() > end) {
      throw new Error(`a server does not start:\n${(server.output.stderr || server.output.stdout).slice(-2000)}`);
    }
  }
  return { url: address(), pid: server.child.pid, stop: () => stop(server), output: server.output };
}

async function stop({ child, closed }) {
  child.kill('SIGTERM');
  const late = sleep(STOP_MS, 'late', { ref: false });
  if ((await Promise.race([closed, late])) === 'late') child.kill('SIGKILL');
  await closed;
}

function launch(command, args, env, cwd) {
  const child = spawn(command, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => (output.stdout += chunk));
  child.stderr.on('data', (chunk) => (output.stderr += chunk));
  running.add(child);
  const closed = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => running.delete(child));
  closed.catch(() => undefined);
  return { child, closed, output };
}
