import type { QueryRunner } from 'typeorm';
import { convertColumns, freeNames, shorten, TIMES } from './adopt-columns';
import { takeViews } from './adopt-views';
import { reasonOf, refusal, requirePlainTable } from './adoption-problems';

export const SEVERITY_RULE = `severity IN ('info', 'warning', 'error', 'critical')`;

/** What RFC 3339 can write; 'infinity' and other calendars' years are not among it. */
export const TIME_RULE = `"timestamp" >= '0001-01-01T00:00:00Z' AND "timestamp" < '10000-01-01T00:00:00Z'`;

/**
 * Adopts the table of the earlier backend: integer ids from a sequence, narrower columns, times perhaps without a zone
 * (read as UTC), no `updated_at`. Every row is kept, with its id; so are the columns, indexes, rules, triggers and views
 * that eventdeck does not know. One that has a name of ours is given another, `earlier_…`.
 *
 * @throws Error that names what stands in the way and says what to do; nothing is changed then
 */
export async function adoptSystemEvents(queryRunner: QueryRunner): Promise<void> {
  await requirePlainTable(queryRunner);
  try {
    await adopt(queryRunner);
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    throw refusal(`${reason}. Change or drop what is in the way, start again, and make it again afterwards.`, error);
  }
}

async function adopt(queryRunner: QueryRunner): Promise<void> {
  const lastId = await lastGivenId(queryRunner);
  const enableTriggers = await disableTriggers(queryRunner);
  await freeNames(queryRunner);
  await dropSeverityRules(queryRunner);
  const restoreViews = await takeViews(queryRunner);
  await shorten(queryRunner);
  await convertColumns(queryRunner);
  await restoreViews();
  await makePrimaryKey(queryRunner);
  await fillAndRequire(queryRunner);
  await identifyById(queryRunner, lastId);
  await requireSeverities(queryRunner);
  await queryRunner.query(
    `ALTER TABLE system_events ADD CONSTRAINT system_events_timestamp_check CHECK (${TIME_RULE})`,
  );
  await relaxForeignColumns(queryRunner);
  await enableTriggers();
}

// Of rows deleted since too: an id that was given once must never name another event.
async function lastGivenId(queryRunner: QueryRunner): Promise<string> {
  const [row] = (await queryRunner.query(
    `SELECT coalesce(pg_get_serial_sequence('system_events', 'id'), (
       SELECT refobjid::regclass::text FROM pg_depend
       JOIN pg_attrdef ON pg_attrdef.oid = objid
       JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
       JOIN pg_class ON pg_class.oid = refobjid AND relkind = 'S'
       WHERE classid = 'pg_attrdef'::regclass AND adrelid = 'system_events'::regclass AND attname = 'id' LIMIT 1
     )) AS sequence, (SELECT coalesce(max(id), 0) FROM system_events)::text AS largest`,
  )) as { sequence: string | null; largest: string }[];
  if (!row?.sequence) return row?.largest ?? '0';
  const [last] = (await queryRunner.query(
    `SELECT greatest(${row.largest}, CASE WHEN is_called THEN last_value ELSE 0 END)::text AS id FROM ${row.sequence}`,
  )) as { id: string }[];
  return last?.id ?? row.largest;
}

// What they would do to a new event they must not do to rows that stay what they are.
async function disableTriggers(queryRunner: QueryRunner): Promise<() => Promise<void>> {
  const triggers = (await queryRunner.query(
    `SELECT quote_ident(tgname) AS name,
       CASE tgenabled WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END AS enable
     FROM pg_trigger WHERE tgrelid = 'system_events'::regclass AND NOT tgisinternal AND tgenabled <> 'D'`,
  )) as { name: string; enable: string }[];
  for (const { name } of triggers) await queryRunner.query(`ALTER TABLE system_events DISABLE TRIGGER ${name}`);
  return async () => {
    for (const { name, enable } of triggers) {
      await queryRunner.query(`ALTER TABLE system_events ${enable} TRIGGER ${name}`);
    }
  };
}

async function dropSeverityRules(queryRunner: QueryRunner): Promise<void> {
  const rules = (await queryRunner.query(
    `SELECT DISTINCT quote_ident(conname) AS name FROM pg_constraint
     JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
     WHERE conrelid = 'system_events'::regclass AND contype = 'c' AND attname = 'severity'`,
  )) as { name: string }[];
  for (const { name } of rules) await queryRunner.query(`ALTER TABLE system_events DROP CONSTRAINT ${name}`);
}

// A time that cannot be written counts as unknown, and the nearest known one stands in for it.
async function fillAndRequire(queryRunner: QueryRunner): Promise<void> {
  const optional = [...TIMES, 'details', 'source'].map((column) => `ALTER COLUMN "${column}" DROP NOT NULL`);
  await queryRunner.query(`ALTER TABLE system_events ${optional.join(', ')}`);
  for (const column of TIMES) {
    const rule = TIME_RULE.replaceAll('"timestamp"', `"${column}"`);
    await queryRunner.query(`UPDATE system_events SET "${column}" = NULL WHERE NOT (${rule})`);
  }
  await queryRunner.query(
    `UPDATE system_events SET
       event_type = coalesce(event_type, 'unknown'), severity = coalesce(severity, 'info'), message = coalesce(message, ''),
       "timestamp" = coalesce("timestamp", created_at, now()),
       created_at = coalesce(created_at, "timestamp", now()),
       updated_at = coalesce(updated_at, created_at, "timestamp", now())
     WHERE event_type IS NULL OR severity IS NULL OR message IS NULL
       OR "timestamp" IS NULL OR created_at IS NULL OR updated_at IS NULL`,
  );
  const rules = [
    ...TIMES.map((column) => `ALTER COLUMN "${column}" SET DEFAULT now()`),
    ...['event_type', 'severity', 'message', ...TIMES].map((column) => `ALTER COLUMN "${column}" SET NOT NULL`),
  ];
  await queryRunner.query(`ALTER TABLE system_events ${rules.join(', ')}`);
}

async function identifyById(queryRunner: QueryRunner, lastId: string): Promise<void> {
  const [sequence] = (await queryRunner.query(`SELECT pg_get_serial_sequence('system_events', 'id') AS name`)) as {
    name: string | null;
  }[];
  if (sequence?.name) await queryRunner.query(`DROP SEQUENCE ${sequence.name}`);
  await queryRunner.query('ALTER TABLE system_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY');
  await queryRunner.query(
    `SELECT setval(pg_get_serial_sequence('system_events', 'id'), greatest($1::bigint, 1), $1::bigint > 0)`,
    [lastId],
  );
}

// A key of other columns goes on as a rule of its own.
async function makePrimaryKey(queryRunner: QueryRunner): Promise<void> {
  const [key] = (await queryRunner.query(
    `SELECT quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition
     FROM pg_constraint WHERE conrelid = 'system_events'::regclass AND contype = 'p'`,
  )) as { name: string; definition: string }[];
  if (key?.definition === 'PRIMARY KEY (id)') {
    if (key.name === 'system_events_pkey') return;
    await queryRunner.query(`ALTER TABLE system_events RENAME CONSTRAINT ${key.name} TO system_events_pkey`);
    return;
  }
  if (key) {
    const unique = key.definition.replace('PRIMARY KEY', 'UNIQUE');
    await queryRunner.query(
      `ALTER TABLE system_events DROP CONSTRAINT ${key.name}, ADD CONSTRAINT earlier_system_events_pkey ${unique}`,
    );
  }
  await queryRunner.query('ALTER TABLE system_events ADD CONSTRAINT system_events_pkey PRIMARY KEY (id)');
}

// Other spellings become ours; rows with another severity stay as they are: the rule then binds new and changed rows.
async function requireSeverities(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query(
    `UPDATE system_events SET severity = CASE lower(severity)
       WHEN 'warn' THEN 'warning' WHEN 'fatal' THEN 'critical' ELSE lower(severity) END
     WHERE NOT (${SEVERITY_RULE}) AND lower(severity) IN ('info', 'warning', 'warn', 'error', 'critical', 'fatal')`,
  );
  const others = (await queryRunner.query(
    `SELECT FROM system_events WHERE NOT (${SEVERITY_RULE}) LIMIT 1`,
  )) as unknown[];
  await queryRunner.query(
    `ALTER TABLE system_events ADD CONSTRAINT system_events_severity_check CHECK (${SEVERITY_RULE}) ${others.length > 0 ? 'NOT VALID' : ''}`,
  );
}

// A column that eventdeck does not know keeps its values but may no longer ask for one.
async function relaxForeignColumns(queryRunner: QueryRunner): Promise<void> {
  const rows = (await queryRunner.query(
    `SELECT quote_ident(attname) AS name FROM pg_attribute
     WHERE attrelid = 'system_events'::regclass AND attnum > 0 AND NOT attisdropped
       AND attnotnull AND NOT atthasdef AND attidentity = ''
       AND attname NOT IN ('id', 'event_type', 'severity', 'message', 'timestamp', 'created_at', 'updated_at', 'version')`,
  )) as { name: string }[];
  for (const { name } of rows) {
    await queryRunner.query(`ALTER TABLE system_events ALTER COLUMN ${name} DROP NOT NULL`);
  }
}
