import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Redis } from 'ioredis';
import { createApp } from '../../apps/api/src/app';
import { createLogger, loadConfig } from '@app/platform';
import { createDatabase, query, type TestDatabase } from './databases';
import { testEnvironment } from './environment';

/** The application, listening on a free port of the loopback, on a database of its own. */
export interface TestApp {
  url: string;
  databaseUrl: string;
  app: NestFastifyApplication;
  /** SQL on the application's database, past the application. */
  sql<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/**
 * Starts the application as it runs, on a clone of the migrated database, or on `shared`, which stays when it closes;
 * its cache is in Redis under a prefix of its own. `variables` are environment variables on top.
 */
export async function startApp(variables: Record<string, string> = {}, shared?: TestDatabase): Promise<TestApp> {
  const { postgresUrl, template, redisUrl } = testEnvironment();
  const database = shared ?? (await createDatabase(postgresUrl, template));
  const config = loadConfig({
    DATABASE_URL: database.url,
    REDIS_URL: redisUrl,
    CACHE_PREFIX: `test-${randomBytes(6).toString('hex')}:`,
    PORT: '0',
    // The cause of an unexpected 500, and no more.
    LOG_LEVEL: 'error',
    // A busy machine is no database that is away.
    DATABASE_CONNECT_TIMEOUT_MS: '20000',
    ...variables,
  });
  const app = await createApp(config, createLogger(config.logLevel, config.serviceName));
  await app.listen(config.http.port, config.http.host);
  return {
    url: await app.getUrl(),
    databaseUrl: database.url,
    app,
    sql: (text, values) => query(database.url, text, values),
    close: async () => {
      await app.close();
      if (config.cache.mode === 'redis') await removeKeys(config.cache.redisUrl ?? '', config.cache.prefix);
      if (!shared) await database.drop();
    },
  };
}

/** Removes the keys of a test from Redis, where that is still there. */
async function removeKeys(redisUrl: string, prefix: string): Promise<void> {
  const redis = new Redis(redisUrl, { lazyConnect: true, disconnectTimeout: 0, retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
  } catch {
    return;
  }
  const keys = await redis.keys(`${prefix}*`);
  if (keys.length > 0) await redis.del(keys);
  await redis.quit();
}
