// What the specs of the embedded PostgreSQL share: a folder for each test, and nothing left of it afterwards.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { killProcesses, untilGone } from './process-list';
import { EmbeddedPostgres, EmbeddedPostgresError } from '../../libs/platform/src/embedded-postgres/embedded-postgres';

export const isRoot = process.getuid?.() === 0;
const settings = { fsync: 'off', shared_buffers: '16MB', max_connections: '20' };

/** Another Node process that runs this TypeScript, starts PostgreSQL, tells where, and lives on unless told to end. */
const STARTER = `
  const swc = require('@swc/core');
  require.extensions['.ts'] = (module, file) => {
    const options = { swcrc: false, module: { type: 'commonjs' }, jsc: { target: 'es2022', parser: { syntax: 'typescript' } } };
    module._compile(swc.transformFileSync(file, options).code, file);
  };
  const [file, dataDir, settings, linger] = process.argv.slice(1);
  const tell = (message) => process.stdout.write(JSON.stringify(message) + '\\n');
  const { EmbeddedPostgres } = require(file);
  EmbeddedPostgres.start({ dataDir, settings: JSON.parse(settings), log: () => undefined }).then(
    ({ url }) => { tell({ url }); if (linger === 'linger') setInterval(() => undefined, 1000); },
    (error) => tell({ error: error.message }),
  );
`;

const SOURCE = path.join(__dirname, '../../libs/platform/src/embedded-postgres/embedded-postgres.ts');

/** Above the longest a start may take, so that none outlives its test. */
jest.setTimeout(90_000);

export let folder: string;
export let dataDir: string;
export let messages: string[];
let starts: Promise<EmbeddedPostgres>[];
export let children: ChildProcess[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'eventdeck-embedded-'));
  if (isRoot) await chmod(folder, 0o755);
  dataDir = path.join(folder, 'data');
  messages = [];
  starts = [];
  children = [];
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  const outcomes = await Promise.allSettled(starts);
  const instances = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const dataDirs = [folder, ...instances.map((one) => one.dataDir)];
  await Promise.all(instances.map((one) => one.stop().catch(() => undefined)));
  for (const one of dataDirs) {
    await killProcesses(one);
    await untilGone(one);
    await rm(one, { recursive: true, force: true });
  }
});

export function start(where = dataDir): Promise<EmbeddedPostgres> {
  const log = (message: string): void => void messages.push(message);
  const started = EmbeddedPostgres.start({ dataDir: where, log, settings });
  starts.push(started);
  return started;
}

/** Why a start failed; its success is an error. */
export async function failure(where = dataDir): Promise<string> {
  const error = await start(where).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EmbeddedPostgresError);
  return error instanceof Error ? error.message : '';
}

export function spawnStarter(linger: 'linger' | 'end'): ChildProcess {
  const args = ['-e', STARTER, SOURCE, dataDir, JSON.stringify(settings), linger];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  children.push(child);
  return child;
}

/** What the starter tells: the URL, or why it failed. */
export async function listen(child: ChildProcess): Promise<{ url?: string; error?: string }> {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => void (text += chunk.toString()));
  await until(() => text.endsWith('\n'));
  return JSON.parse(text) as { url?: string; error?: string };
}

/** Kills the starter and everything in its process group, as a terminal or a supervisor would. */
export async function killGroup(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  await gone;
}

export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return;
  }
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for ${condition.toString()}`);
    await delay(20);
  }
}

export const cluster = (): string => path.join(dataDir, 'cluster');
export const pidFile = (): string => path.join(cluster(), 'postmaster.pid');
export const postmaster = async (): Promise<number> => Number((await readFile(pidFile(), 'utf8')).split('\n')[0]);
export const mode = async (file: string): Promise<string> => ((await stat(file)).mode & 0o777).toString(8);

export async function query(url: string | undefined, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return rows[0] && Object.values(rows[0])[0];
  } finally {
    await client.end().catch(() => undefined);
  }
}

export const serves = (url: string): Promise<boolean> =>
  query(url, 'SELECT true').then(
    () => true,
    () => false,
  );
