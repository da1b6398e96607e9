import { realpath } from 'node:fs/promises';
import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { type Cluster, NAME } from './cluster';
import { codeOf, EmbeddedPostgresError, reasonOf, toEmbeddedPostgresError } from './error';

/**
 * Key of the session-level advisory lock, in the database `postgres`, that the one eventdeck of a data folder holds
 * as long as it runs (`pg_locks` shows it): "evpg" in ASCII.
 */
const OWNER_LOCK = 0x65_76_70_67;
/** The lock of a process that was killed goes with its connection: it gets this long to vanish. */
const LOCK_PATIENCE_MS = 5000;
const LOCK_POLL_MS = 50;
const CONNECT_TIMEOUT_MS = 2000;
const QUERY_TIMEOUT_MS = 30_000;

/** A connection of the superuser to the database `postgres`, on which the lock is held. */
export interface OwnerConnection {
  client: Client;
  /** Lets Node end although the connection is open. */
  unref: () => void;
  /** Whether it has ended, for whatever reason. */
  hasEnded: () => boolean;
  /** Resolves when it has ended, for whatever reason. */
  ended: Promise<void>;
}

async function openConnection(cluster: Cluster, port: number): Promise<OwnerConnection> {
  const socket = new Socket();
  const client = new Client({
    host: '127.0.0.1',
    port,
    user: NAME,
    password: cluster.password,
    database: 'postgres',
    application_name: 'eventdeck owner',
    ssl: false,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    stream: () => socket,
  });
  let over = false;
  // Without a listener the loss of the connection would end Node; what follows from it is decided at its end.
  client.on('error', () => undefined);
  const ended = new Promise<void>((resolve) =>
    client.once('end', () => {
      over = true;
      resolve();
    }),
  );
  try {
    await client.connect();
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return { client, unref: () => socket.unref(), hasEnded: () => over, ended };
}

/** Closes the connection, whatever its state. */
export async function close({ client }: OwnerConnection): Promise<void> {
  await client.end().catch(() => undefined);
}

async function proveIdentity(connection: OwnerConnection, cluster: Cluster, port: number): Promise<void> {
  const { rows } = await connection.client.query<{ data_directory: string }>('SHOW data_directory');
  const folder = await realpath(rows[0]?.data_directory ?? '').catch(() => undefined);
  if (folder === (await realpath(cluster.folder))) return;
  throw new EmbeddedPostgresError(`The PostgreSQL on port ${port} is not the one of the folder ${cluster.folder}.`);
}

/**
 * Connects to the cluster's server and proves that it is the cluster's.
 * @returns the reason as a text when the server is not ready: it refuses connections, is starting up or is full
 * @throws EmbeddedPostgresError when it is not our server
 */
export async function connect(cluster: Cluster, port: number): Promise<OwnerConnection | string> {
  let connection: OwnerConnection | undefined;
  try {
    connection = await openConnection(cluster, port);
    await proveIdentity(connection, cluster, port);
    return connection;
  } catch (error) {
    if (connection) await close(connection);
    if (error instanceof EmbeddedPostgresError) throw error;
    // 28: the server does not know our account or password.
    if (!codeOf(error).startsWith('28')) return reasonOf(error);
    throw toEmbeddedPostgresError(`The PostgreSQL running in ${cluster.folder} does not accept our password`, error);
  }
}

/**
 * Takes the lock of the data folder, and holds it as long as the connection lives.
 * @returns false when another session still has it after 5 s
 */
export async function takeLock({ client }: OwnerConnection, signal: AbortSignal): Promise<boolean> {
  const deadline = Date.now() + LOCK_PATIENCE_MS;
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [OWNER_LOCK]);
    if (rows[0]?.taken === true) return true;
    if (Date.now() >= deadline) return false;
    await delay(LOCK_POLL_MS, undefined, { signal });
  }
}

/** Creates the database eventdeck uses, when it is missing. */
export async function createDatabase({ client }: OwnerConnection): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [NAME]);
  if (rowCount === 0) await client.query(`CREATE DATABASE ${NAME}`);
}
