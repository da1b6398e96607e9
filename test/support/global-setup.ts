import 'reflect-metadata';
import { createDatabase, databaseName, migrate } from './databases';
import { publishEnvironment } from './environment';
import { findRedis, startPostgres } from './services';

declare global {
  /** Undoes, in this order, what the setup started. */
  var stopTestServices: (() => Promise<void>)[] | undefined;
}

/** Finds or starts PostgreSQL and Redis, and migrates the database that every test file clones. */
export default async function globalSetup(): Promise<void> {
  const stops: (() => Promise<void>)[] = [];
  globalThis.stopTestServices = stops;
  try {
    const redis = await findRedis();
    stops.unshift(() => redis.stop());
    const postgres = await startPostgres();
    stops.unshift(() => postgres.stop());
    const template = await createDatabase(postgres.url);
    stops.unshift(() => template.drop());
    await migrate(template.url);
    publishEnvironment({ postgresUrl: postgres.url, template: databaseName(template.url), redisUrl: redis.url });
  } catch (error) {
    for (const stop of stops) await stop();
    throw error;
  }
}
