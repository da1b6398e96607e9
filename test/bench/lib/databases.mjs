import { randomBytes } from 'node:crypto';
import { URL } from 'node:url';
import pg from 'pg';
import { DATABASE_PREFIX } from './options.mjs';

/** Runs SQL on a connection of its own and returns the rows. */
export async function query(url, sql, values = []) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end();
  }
}

/** Creates an empty database, or a clone of `template`, that `cleanup` drops; returns its URL. */
export async function createDatabase(serverUrl, cleanup, template) {
  const name = `${DATABASE_PREFIX}${randomBytes(6).toString('hex')}`;
  let creating = Promise.resolve();
  // Registered first: a signal may come while PostgreSQL is still creating it.
  cleanup.add(async () => {
    await creating.catch(() => undefined);
    await query(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  });
  creating = query(serverUrl, `CREATE DATABASE ${name}${template ? ` TEMPLATE ${template}` : ''}`);
  await creating;
  return withDatabase(serverUrl, name);
}

/** The URL of another database on the same server. */
export function withDatabase(url, name) {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.toString();
}

/** The name of the database in a URL. */
export function databaseName(url) {
  return new URL(url).pathname.slice(1);
}

/** How a libpq program finds the database; not in its arguments, where everybody can read a password. */
export function libpqEnvironment(url) {
  const { hostname, port, username, password, searchParams } = new URL(url);
  const variables = {
    PGHOST: searchParams.get('host') ?? decodeURIComponent(hostname),
    PGPORT: port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: databaseName(url),
    PGSSLMODE: searchParams.get('sslmode') ?? '',
  };
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
}

/**
 * Every measurement starts with nothing left to write back from the one before. A role that may not do so measures
 * without.
 */
export async function checkpoint(url) {
  await query(url, 'CHECKPOINT').catch(() => undefined);
}

/** The table of the references: three b-trees, no rules, no triggers. */
export async function createPlainTable(url) {
  await query(
    url,
    `CREATE TABLE plain_events (
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       event_type varchar(100) NOT NULL,
       severity varchar(20) NOT NULL,
       message text NOT NULL,
       details jsonb,
       source varchar(200),
       "timestamp" timestamptz(3) NOT NULL DEFAULT now(),
       created_at timestamptz(3) NOT NULL DEFAULT now(),
       updated_at timestamptz(3) NOT NULL DEFAULT now()
     );
     CREATE INDEX ON plain_events ("timestamp" DESC, id DESC);
     CREATE INDEX ON plain_events (event_type, "timestamp" DESC, id DESC);`,
  );
}

/** How many events are stored. */
export async function countEvents(url) {
  const [row] = await query(url, 'SELECT count(*)::int AS events FROM system_events');
  return row.events;
}
