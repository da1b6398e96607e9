import { Client } from 'pg';
import { query } from './databases';
import { until } from './services';
import type { TestApp } from './test-app';

/** A table, locked by a session of its own: every statement of the application on it waits. */
export interface TableLock {
  /** Resolves when `count` connections wait for the lock; their process ids. */
  waiters(count?: number): Promise<number[]>;
  /** Ends the connections that wait now. */
  terminateWaiters(): Promise<void>;
  release(): Promise<void>;
}

// Of this database: its clones, in use by other suites, have tables of the same oid.
const WAITERS = `SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
  WHERE datname = current_database() AND relation = $1::regclass AND NOT granted`;

/** An application, in the process of the test or in one of its own, by its database. */
type Subject = Pick<TestApp, 'databaseUrl'>;

/** Locks `system_events` until it is told to release it. */
export const lockEvents = (subject: Subject): Promise<TableLock> => lockTable(subject, 'system_events');

/** Locks a table until it is told to release it. */
export async function lockTable(
  { databaseUrl }: Subject,
  table: 'system_events' | 'idempotency_keys' | 'event_minutes',
): Promise<TableLock> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('BEGIN');
  await client.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  const waiters = async (): Promise<number[]> =>
    (await query<{ pid: number }>(databaseUrl, WAITERS, [table])).map(({ pid }) => pid);
  return {
    waiters: async (count = 1) => {
      let found: number[] = [];
      await until(async () => (found = await waiters()).length >= count, `${count} connections wait for the table`);
      return found;
    },
    terminateWaiters: async () => {
      await query(databaseUrl, 'SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [await waiters()]);
    },
    release: () => client.end(),
  };
}

/** Counts the requests that the application has received from now on; resolves when there are `count`. */
export function countReceived(api: TestApp): (count: number) => Promise<void> {
  let received = 0;
  (api.app.getHttpServer() as NodeJS.EventEmitter).on('request', () => received++);
  return async (count) => {
    await until(() => received >= count, `${count} requests have arrived`);
    // Their bodies came along with their heads: after another answer they have been read.
    for (let round = 0; round < 2; round++) await fetch(`${api.url}/health/live`);
  };
}
