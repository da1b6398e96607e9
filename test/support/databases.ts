import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
// Relative, as in ormconfig.ts: Jest's global setup knows no path aliases.
import { loadConfig, MigrationDataSource } from '../../libs/platform/src';
import { schema } from '../../ormconfig';
import { testEnvironment } from './environment';

/** A database of its own on the server of the test run. */
export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
}

/** Creates an empty database, or a clone of `template`. */
export async function createDatabase(serverUrl: string, template?: string): Promise<TestDatabase> {
  const name = `eventdeck_test_${randomBytes(6).toString('hex')}`;
  await execute(serverUrl, `CREATE DATABASE ${name}${template ? ` TEMPLATE ${template}` : ''}`);
  return {
    url: withDatabase(serverUrl, name),
    drop: () => execute(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

/** `createDatabase`, a clone of the migrated database unless told otherwise, dropped after each test of a file or a `describe`. */
export function useDatabases(): (template?: string | null) => Promise<TestDatabase> {
  const created: TestDatabase[] = [];
  afterEach(async () => {
    await Promise.all(created.splice(0).map((database) => database.drop()));
  });
  return async (template) => {
    const environment = testEnvironment();
    const database = await createDatabase(
      environment.postgresUrl,
      template === null ? undefined : (template ?? environment.template),
    );
    created.push(database);
    return database;
  };
}

/** Runs every migration on the database at `url`. */
export async function migrate(url: string): Promise<void> {
  const dataSource = new MigrationDataSource(loadConfig({ DATABASE_URL: url }).database, schema);
  await dataSource.initialize();
  try {
    await dataSource.runMigrations();
  } finally {
    await dataSource.destroy();
  }
}

/** Runs SQL on a connection of its own and returns the rows. */
export async function query<Row = Record<string, unknown>>(
  url: string,
  sql: string,
  values: unknown[] = [],
): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  // A connection that is lost between two statements; the next one fails.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql, values)).rows as Row[];
  } finally {
    await client.end();
  }
}

/** The name of the database in a URL. */
export function databaseName(url: string): string {
  return new URL(url).pathname.slice(1);
}

/** Makes a database unreachable, its open connections too, as if its server were away; returns what brings it back. */
export async function takeAway(url: string): Promise<() => Promise<void>> {
  const { postgresUrl } = testEnvironment();
  const name = databaseName(url);
  await execute(postgresUrl, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  await query(postgresUrl, 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
  return () => execute(postgresUrl, `ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
}

/** The URL of another database on the same server. */
export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.toString();
}

async function execute(url: string, sql: string): Promise<void> {
  await query(url, sql);
}
