import type { QueryRunner } from 'typeorm';

export const TIMES = ['timestamp', 'created_at', 'updated_at'];

/** Characters that a column of ours holds at most. */
const WIDTHS = { event_type: 100, severity: 20, source: 200 };

/** Columns that the earlier backend had not, or of which ours can be made again: theirs need not be convertible. */
const OURS = ['version', 'search'];
const REPLACEABLE = ['created_at', 'updated_at'];

/** Indexes and rules of ours that would be in the way of each other's names; the primary key is dealt with by itself. */
const OUR_NAMES = [
  ...['timestamp', 'event_type', 'severity', 'source', 'search', 'details'].map((name) => `system_events_${name}_idx`),
  'system_events_severity_check',
  'system_events_timestamp_check',
];

const IS_TIME = /^(?:date|timestamp)/;
const IS_TEXT = /^(?:text|character|"char")/;

export async function columnTypes(queryRunner: QueryRunner): Promise<Map<string, string>> {
  const rows = (await queryRunner.query(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = 'system_events'::regclass AND attnum > 0 AND NOT attisdropped`,
  )) as { name: string; type: string }[];
  return new Map(rows.map(({ name, type }) => [name, type]));
}

/** Renames columns, indexes and rules that have names of ours: `earlier_…`; they keep what they hold. */
export async function freeNames(queryRunner: QueryRunner): Promise<void> {
  const columns = await columnTypes(queryRunner);
  const foreign = [
    ...OURS.filter((name) => columns.has(name)),
    ...REPLACEABLE.filter((name) => columns.has(name) && !IS_TIME.test(columns.get(name) ?? '')),
  ];
  for (const name of foreign) {
    await queryRunner.query(`ALTER TABLE system_events RENAME COLUMN ${name} TO ${freeColumn(columns, name)}`);
  }
  const named = (await queryRunner.query(
    `SELECT relname AS name, 'INDEX' AS kind FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
     WHERE indrelid = 'system_events'::regclass AND relname = ANY ($1)
     UNION ALL SELECT conname, 'CONSTRAINT' FROM pg_constraint
     WHERE conrelid = 'system_events'::regclass AND conindid = 0 AND conname = ANY ($1)`,
    [OUR_NAMES],
  )) as { name: string; kind: 'INDEX' | 'CONSTRAINT' }[];
  for (const { name, kind } of named) {
    await queryRunner.query(
      kind === 'INDEX'
        ? `ALTER INDEX ${name} RENAME TO earlier_${name}`
        : `ALTER TABLE system_events RENAME CONSTRAINT ${name} TO earlier_${name}`,
    );
  }
}

function freeColumn(columns: ReadonlyMap<string, string>, name: string): string {
  let free = `earlier_${name}`;
  while (columns.has(free)) free += '_';
  return free;
}

/**
 * Cuts types, severities and sources that are longer than an event may have, which no index could hold either; the whole
 * texts stay in columns `earlier_…`, where there are any.
 */
export async function shorten(queryRunner: QueryRunner): Promise<void> {
  const columns = await columnTypes(queryRunner);
  for (const [name, width] of Object.entries(WIDTHS)) {
    if (!columns.has(name)) continue;
    const isLong = `char_length(${name}::text) > ${width}`;
    const long = (await queryRunner.query(`SELECT FROM system_events WHERE ${isLong} LIMIT 1`)) as unknown[];
    if (long.length === 0) continue;
    const whole = freeColumn(columns, name);
    await queryRunner.query(`ALTER TABLE system_events ADD COLUMN ${whole} text`);
    await queryRunner.query(
      `UPDATE system_events SET ${whole} = ${name}::text, ${name} = left(${name}::text, ${width}) WHERE ${isLong}`,
    );
  }
}

/** Gives the columns of events the types of ours, and adds those that are missing. */
export async function convertColumns(queryRunner: QueryRunner): Promise<void> {
  const columns = await columnTypes(queryRunner);
  const wished = wishedTypes(columns);
  // A default of the old type may not convert; ours is set later.
  const defaults = wished
    .filter(([column]) => columns.has(column))
    .map(([column]) => `ALTER COLUMN "${column}" DROP DEFAULT`);
  await queryRunner.query(`ALTER TABLE system_events ALTER COLUMN id DROP IDENTITY IF EXISTS`);
  await queryRunner.query(`ALTER TABLE system_events ${defaults.join(', ')}`);
  const changed = wished.filter(([column, type]) => columns.has(column) && columns.get(column) !== type);
  await fixGenerated(
    queryRunner,
    changed.map(([column]) => column),
  );
  if (changed.some(([, , using]) => using.includes(READ_JSON))) await createReadJson(queryRunner);
  const changes = changed.map(([column, type, using]) => `ALTER COLUMN "${column}" TYPE ${type} USING ${using}`);
  if (changes.length > 0) await queryRunner.query(`ALTER TABLE system_events ${changes.join(', ')}`);
  const missing = [
    ...wished.filter(([column]) => !columns.has(column)).map(([column, type]) => `ADD COLUMN "${column}" ${type}`),
    'ADD COLUMN version bigint NOT NULL DEFAULT 1',
  ];
  await queryRunner.query(`ALTER TABLE system_events ${missing.join(', ')}`);
}

/** Whether a column has another type than ours. */
export async function hasOtherTypes(queryRunner: QueryRunner): Promise<boolean> {
  const columns = await columnTypes(queryRunner);
  return wishedTypes(columns).some(([column, type]) => columns.has(column) && columns.get(column) !== type);
}

function wishedTypes(columns: ReadonlyMap<string, string>): [column: string, type: string, using: string][] {
  const time = (name: string): string =>
    columns.get(name)?.endsWith('with time zone') ? `"${name}"` : `"${name}"::timestamp AT TIME ZONE 'UTC'`;
  const details = columns.get('details') ?? '';
  const isRead = details === 'json' || IS_TEXT.test(details);
  return [
    ['id', 'bigint', 'id'],
    ['event_type', `character varying(${WIDTHS.event_type})`, 'event_type::text'],
    ['severity', `character varying(${WIDTHS.severity})`, 'severity::text'],
    ['message', 'text', 'message::text'],
    ['details', 'jsonb', isRead ? `${READ_JSON}(details::text)` : 'details::jsonb'],
    ['source', `character varying(${WIDTHS.source})`, 'source::text'],
    ...TIMES.map((name): [string, string, string] => [name, 'timestamp(3) with time zone', time(name)]),
  ];
}

const READ_JSON = 'pg_temp.read_json';

// The type `json` checks less than `jsonb` does: NUL characters, halves of surrogate pairs, enormous numbers.
async function createReadJson(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query(
    `CREATE OR REPLACE FUNCTION ${READ_JSON}(text text) RETURNS jsonb LANGUAGE plpgsql AS $$
     BEGIN RETURN text::jsonb; EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
       RETURN jsonb_build_object('text', text);
     END $$`,
  );
}

// Columns that are made of those whose type changes keep the values that they have, and become ordinary ones.
async function fixGenerated(queryRunner: QueryRunner, changed: string[]): Promise<void> {
  const generated = (await queryRunner.query(
    `SELECT DISTINCT quote_ident(made.attname) AS name FROM pg_depend
     JOIN pg_attrdef ON pg_attrdef.oid = objid AND adrelid = refobjid
     JOIN pg_attribute AS made ON made.attrelid = adrelid AND made.attnum = adnum AND made.attgenerated <> ''
     JOIN pg_attribute AS base ON base.attrelid = refobjid AND base.attnum = refobjsubid
     WHERE classid = 'pg_attrdef'::regclass AND refclassid = 'pg_class'::regclass
       AND refobjid = 'system_events'::regclass AND base.attname = ANY ($1)`,
    [changed],
  )) as { name: string }[];
  for (const { name } of generated) {
    await queryRunner.query(`ALTER TABLE system_events ALTER COLUMN ${name} DROP EXPRESSION`);
  }
}
