import { query, type TestDatabase } from './databases';
import { send, type Answer } from './http';
import { until } from './services';
import { startApp, type TestApp } from './test-app';

/** How long events are kept, as the API answers it. */
export interface Retention {
  policy: Record<string, number>;
  last_run: { at: string; deleted: number; ms: number } | null;
  next_run: string | null;
  held: string | null;
}

/** A row of `retention_runs`. */
export interface Run {
  id: string;
  started_at: Date;
  expires_at: Date;
  ended_at: Date | null;
  deleted: string;
}

/** Applications on databases of their own. */
export interface Apps {
  start: (database: TestDatabase, variables?: Record<string, string>) => Promise<TestApp>;
  close: (api: TestApp) => Promise<void>;
}

/**
 * Applications that are closed after each test of a file or a `describe`. To be called before `useDatabases`: what uses a
 * database ends before it goes.
 */
export function useApps(): Apps {
  const open: TestApp[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((api) => api.close()));
  });
  return {
    start: async (database, variables = {}) => {
      // A test holds a lock for as long as it needs.
      const api = await startApp({ CACHE: 'off', DATABASE_LOCK_TIMEOUT_MS: '60000', ...variables }, database);
      open.push(api);
      return api;
    },
    close: async (api) => {
      open.splice(open.indexOf(api), 1);
      await api.close();
    },
  };
}

/** GET /api/events/retention. */
export function readRetention(api: TestApp): Promise<Answer<Retention>> {
  return send('GET', `${api.url}/api/events/retention`);
}

export async function lastRun(api: TestApp): Promise<Retention['last_run']> {
  return (await readRetention(api)).body.last_run;
}

/** Resolves when a first run has come to its end. */
export function runIsOver(api: TestApp): Promise<void> {
  return until(async () => (await lastRun(api)) !== null, 'the run is over');
}

/** All runs that the database at `url` knows, the oldest first. */
export function runsOf(url: string): Promise<Run[]> {
  return query<Run>(url, 'SELECT * FROM retention_runs ORDER BY id');
}

/** Events of the tests; the service's own are of other types. */
export async function messages(url: string): Promise<string[]> {
  const sql = `SELECT message FROM system_events WHERE event_type = 'old' ORDER BY "timestamp", id`;
  return (await query<{ message: string }>(url, sql)).map(({ message }) => message);
}

/** Stores events of 90 days and less, a second after another; their messages count from 1. */
export async function storeOld(url: string, count: number): Promise<void> {
  await query(
    url,
    `INSERT INTO system_events (event_type, severity, message, "timestamp")
     SELECT 'old', 'info', i, now() - interval '90 days' + i * interval '1 second' FROM generate_series(1, $1::int) AS i`,
    [count],
  );
}
