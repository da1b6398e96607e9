import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { EmbeddedPostgres } from '../../libs/platform/src';
import { requireProgram } from './debian-programs';

const STANDARD_REDIS = 'redis://127.0.0.1:6379';

/** A service that a test run uses, and what undoes its start. */
export interface Service {
  url: string;
  stop(): Promise<void>;
}

const leaveRunning = (): Promise<void> => Promise.resolve();

/** `TEST_DATABASE_URL`, or an embedded PostgreSQL in a folder of its own. */
export async function startPostgres(): Promise<Service> {
  const given = process.env.TEST_DATABASE_URL;
  if (given) return { url: given, stop: leaveRunning };
  const folder = mkdtempSync(join(tmpdir(), 'eventdeck-test-'));
  // As root the server runs as another account, which has to reach its data.
  chmodSync(folder, 0o755);
  const postgres = await EmbeddedPostgres.start({
    dataDir: join(folder, 'data'),
    log: () => undefined,
    settings: { fsync: 'off', max_connections: '200' },
  });
  return {
    url: postgres.url,
    stop: async () => {
      await postgres.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** `TEST_REDIS_URL`, or a Redis on the standard port, or one started here, installed first where that is possible. */
export async function findRedis(): Promise<Service> {
  const given = process.env.TEST_REDIS_URL;
  if (given) {
    if (!(await answers(given))) throw new Error('TEST_REDIS_URL is set but no Redis answers there.');
    return { url: given, stop: leaveRunning };
  }
  if (await answers(STANDARD_REDIS)) return { url: STANDARD_REDIS, stop: leaveRunning };
  requireProgram('redis-server');
  return startRedis();
}

/** A `redis-server` on a free port of the loopback that saves nothing by itself; told to, it saves to `folder`. */
export async function startRedis(port?: number, folder = tmpdir()): Promise<Service & { process: ChildProcess }> {
  const chosen = port ?? (await freePort());
  const child = spawn(
    'redis-server',
    ['--port', String(chosen), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder],
    { stdio: 'ignore' },
  );
  const url = `redis://127.0.0.1:${chosen}`;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
  try {
    await until(async () => answers(url), `redis-server answers on port ${chosen}`);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return {
    url,
    process: child,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Resolves once `condition` holds; fails, naming it, after `limitMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  name: string,
  limitMs = 15_000,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain until ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A port of the loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(url: string): Promise<boolean> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 500,
    disconnectTimeout: 0,
    retryStrategy: () => null,
  });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}
