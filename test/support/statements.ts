import { Client } from 'pg';
import { query } from './databases';
import { until } from './services';
import type { TestApp } from './test-app';

/** A statement as the application sent it. */
export interface SentStatement {
  text: string;
  values: unknown[];
}

interface Plan {
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  Plans?: Plan[];
}

/** What `work` makes of the application, and the statements that were sent meanwhile whose text `pattern` finds. */
export async function recordStatements<T>(
  pattern: RegExp,
  work: () => Promise<T>,
): Promise<[result: T, statements: SentStatement[]]> {
  const sent = jest.spyOn(Client.prototype, 'query');
  try {
    const result = await work();
    const statements = (sent.mock.calls as unknown[][]).map(([statement, values]) => {
      const { text, values: own } =
        typeof statement === 'string' ? { text: statement, values: undefined } : (statement as SentStatement);
      return { text, values: own ?? (Array.isArray(values) ? (values as unknown[]) : []) };
    });
    return [result, statements.filter(({ text }) => pattern.test(text))];
  } finally {
    sent.mockRestore();
  }
}

/** How many rows and index entries PostgreSQL looks at to answer a statement that changes nothing. */
export async function rowsRead(databaseUrl: string, { text, values }: SentStatement): Promise<number> {
  const [row] = await query<{ 'QUERY PLAN': { Plan: Plan }[] }>(
    databaseUrl,
    `EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) ${text}`,
    values,
  );
  return (row?.['QUERY PLAN'] ?? []).reduce((sum, { Plan: plan }) => sum + readBy(plan), 0);
}

function readBy(plan: Plan): number {
  const below = (plan.Plans ?? []).reduce((sum, child) => sum + readBy(child), 0);
  if (plan['Relation Name'] === undefined && plan['Index Name'] === undefined) return below;
  const seen =
    plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0) + (plan['Rows Removed by Index Recheck'] ?? 0);
  return below + seen * plan['Actual Loops'];
}

/** Statements of an application that wait for a lock, in its database. */
export interface LockedStatements {
  count(): Promise<number>;
  /** Resolves when `count` of them wait. */
  reach(count: number): Promise<void>;
}

/** The waiting statements whose text is like `pattern` (SQL's LIKE). */
export function lockedStatements({ databaseUrl }: Pick<TestApp, 'databaseUrl'>, pattern: string): LockedStatements {
  const count = async (): Promise<number> => {
    const [row] = await query<{ count: number }>(
      databaseUrl,
      `SELECT count(*)::int AS count FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1`,
      [pattern],
    );
    return row?.count ?? 0;
  };
  return {
    count,
    reach: (wanted) => until(async () => (await count()) >= wanted, `${wanted} statements like ${pattern} wait`),
  };
}

/** The texts of all statements that this process sends from now on, to any database; `mockRestore` ends it. */
export function spyOnStatements(): jest.SpyInstance & { matching(pattern: RegExp): string[] } {
  const spy = jest.spyOn(Client.prototype, 'query');
  const textOf = ([config]: unknown[]): string =>
    typeof config === 'string' ? config : ((config as { text?: string } | undefined)?.text ?? '');
  return Object.assign(spy, {
    matching: (pattern: RegExp) => (spy.mock.calls as unknown[][]).map(textOf).filter((text) => pattern.test(text)),
  });
}

/** A transaction that holds locks until it is told to release them. */
export async function holdLocks(
  { databaseUrl }: Pick<TestApp, 'databaseUrl'>,
  sql: string,
  values: unknown[] = [],
): Promise<() => Promise<void>> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('BEGIN');
  await client.query(sql, values);
  return () => client.end();
}
