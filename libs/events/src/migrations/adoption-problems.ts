import type { QueryRunner } from 'typeorm';
import { columnTypes } from './adopt-columns';

/** Types of a time that becomes `timestamptz`; an id that becomes `bigint`. */
const TYPES = {
  id: {
    type: /^(?:smallint|integer|bigint)$/,
    example: 'ALTER TABLE system_events ALTER COLUMN id TYPE bigint USING …',
  },
  timestamp: {
    type: /^(?:date|timestamp)/,
    example:
      'ALTER TABLE system_events ALTER COLUMN "timestamp" TYPE timestamptz USING to_timestamp("timestamp") for seconds',
  },
};

interface Table {
  kind: string;
  parents: string | null;
  children: string | null;
  isForced: boolean;
}

/** @throws Error that says why the table is none that can be adopted, and what to do */
export async function requirePlainTable(queryRunner: QueryRunner): Promise<void> {
  const [table] = (await queryRunner.query(
    `SELECT relkind AS kind, relforcerowsecurity AND relrowsecurity AS "isForced",
       (SELECT string_agg(inhparent::regclass::text, ', ') FROM pg_inherits WHERE inhrelid = pg_class.oid) AS parents,
       (SELECT string_agg(inhrelid::regclass::text, ', ') FROM pg_inherits WHERE inhparent = pg_class.oid) AS children
     FROM pg_class WHERE oid = 'system_events'::regclass`,
  )) as [Table];
  const copy = 'Copy its rows into an ordinary table of the same columns, give that one its name, and start again.';
  if (table.kind === 'p') throw refusal(`it is partitioned (${table.children ?? 'no partitions yet'}). ${copy}`);
  if (table.kind !== 'r') throw refusal(`it is no table but a view or a foreign table. ${copy}`);
  if (table.parents ?? table.children) {
    throw refusal(
      `inherits from or is inherited by ${[table.parents, table.children].filter(Boolean).join(', ')}. ${copy}`,
    );
  }
  const columns = await columnTypes(queryRunner);
  const missing = ['id', 'event_type', 'severity', 'message'].filter((name) => !columns.has(name));
  if (missing.length > 0) {
    throw new Error(
      `The database has a table system_events that is not an earlier events backend's: it lacks ${missing.join(', ')}. Rename it, or give eventdeck a database of its own.`,
    );
  }
  if (columns.get('version') === 'bigint' && columns.get('search') === 'tsvector') {
    throw refusal(
      "it is eventdeck's own, and the rest of the database is missing. Restore all of it, the table migrations too, and start again.",
    );
  }
  for (const [name, { type, example }] of Object.entries(TYPES)) {
    const found = columns.get(name);
    if (found !== undefined && !type.test(found)) {
      throw refusal(`it has a column ${name} of the type ${found}. Convert it, and start again: ${example}.`);
    }
  }
  if (table.isForced) {
    throw refusal(
      'it hides rows from its owner too. Run ALTER TABLE system_events NO FORCE ROW LEVEL SECURITY, and start again.',
    );
  }
}

/** Classes of SQLSTATE that tell of the table, and not of a server that is away: what it holds, or what depends on it. */
const OF_THE_TABLE = /^(?:0A|22|23|2B|42|54|55)/;

interface DriverError {
  code?: string;
  message: string;
  detail?: string;
}

/** What the database says is wrong with the table, or `undefined` where an error is of something else. */
export function reasonOf(error: unknown): string | undefined {
  const cause = (error as { driverError?: DriverError }).driverError;
  if (cause === undefined || !OF_THE_TABLE.test(cause.code ?? '')) return undefined;
  return cause.detail === undefined ? cause.message : `${cause.message} (${cause.detail})`;
}

/** The error of an adoption that cannot be done. @param why what stands in the way and what to do, a sentence's end */
export function refusal(why: string, cause?: unknown): Error {
  return new Error(
    `The table system_events of the earlier backend is not adopted, and nothing was changed: ${why}`,
    cause === undefined ? {} : { cause },
  );
}
