import type { MigrationInterface, QueryRunner } from 'typeorm';

const SEVERITY_RULE = `severity IN ('info', 'warning', 'error', 'critical')`;

/** What RFC 3339 can write; 'infinity' and other calendars' years are not among it. */
const TIME_RULE = `"timestamp" >= '0001-01-01T00:00:00Z' AND "timestamp" < '10000-01-01T00:00:00Z'`;

const TIMES = ['timestamp', 'created_at', 'updated_at'];

const INDEXES = {
  system_events_timestamp_idx: '("timestamp" DESC, id DESC)',
  system_events_event_type_idx: '(event_type, "timestamp" DESC, id DESC)',
  system_events_severity_idx: '(severity, "timestamp" DESC, id DESC)',
  system_events_source_idx: '(source, "timestamp" DESC, id DESC)',
};

/**
 * Creates `system_events`, or adopts the table of the earlier backend: integer ids from a sequence, narrower columns,
 * times perhaps without a zone (read as UTC), no `updated_at`. Every row is kept, with its id.
 *
 * There is no way back for rows: a table that holds any is never dropped.
 */
export class CreateSystemEvents1763700000000 implements MigrationInterface {
  readonly name = 'CreateSystemEvents1763700000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const columns = await columnTypes(queryRunner);
    if (columns.size === 0) await create(queryRunner);
    else await adopt(queryRunner, columns);
    for (const [name, columnList] of Object.entries(INDEXES)) {
      await queryRunner.query(`CREATE INDEX IF NOT EXISTS ${name} ON system_events ${columnList}`);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const rows = (await queryRunner.query('SELECT FROM system_events LIMIT 1')) as unknown[];
    if (rows.length > 0) {
      throw new Error('The table system_events holds events: keep them elsewhere and empty it before going back.');
    }
    await queryRunner.query('DROP TABLE system_events');
  }
}

async function columnTypes(queryRunner: QueryRunner): Promise<Map<string, string>> {
  const rows = (await queryRunner.query(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = to_regclass('system_events') AND attnum > 0 AND NOT attisdropped`,
  )) as { name: string; type: string }[];
  return new Map(rows.map(({ name, type }) => [name, type]));
}

async function create(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query(
    `CREATE TABLE system_events (
       id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT system_events_pkey PRIMARY KEY,
       event_type varchar(100) NOT NULL,
       severity varchar(20) NOT NULL
         CONSTRAINT system_events_severity_check CHECK (${SEVERITY_RULE}),
       message text NOT NULL,
       details jsonb,
       source varchar(200),
       "timestamp" timestamptz(3) NOT NULL DEFAULT now() CONSTRAINT system_events_timestamp_check CHECK (${TIME_RULE}),
       created_at timestamptz(3) NOT NULL DEFAULT now(),
       updated_at timestamptz(3) NOT NULL DEFAULT now(),
       version bigint NOT NULL DEFAULT 1
     )`,
  );
}

async function adopt(queryRunner: QueryRunner, columns: ReadonlyMap<string, string>): Promise<void> {
  requireEventsTable(columns);
  const lastId = await lastGivenId(queryRunner);
  await dropSeverityRules(queryRunner);
  await addMissingColumns(queryRunner, columns);
  await convertColumns(queryRunner, columns);
  await fillAndRequire(queryRunner);
  await identifyById(queryRunner, lastId);
  await requireSeverities(queryRunner);
  await queryRunner.query(
    `ALTER TABLE system_events ADD CONSTRAINT system_events_timestamp_check CHECK (${TIME_RULE})`,
  );
  await relaxForeignColumns(queryRunner);
}

function requireEventsTable(columns: ReadonlyMap<string, string>): void {
  const missing = ['id', 'event_type', 'severity', 'message'].filter((name) => !columns.has(name));
  const problem = missing.length > 0 ? `lacks ${missing.join(', ')}` : 'has a column version of its own';
  if (missing.length === 0 && !columns.has('version')) return;
  throw new Error(
    `The database has a table system_events that is not an earlier events backend's: it ${problem}. Rename it, or give eventdeck a database of its own.`,
  );
}

// Of rows deleted since too: an id that was given once must never name another event.
async function lastGivenId(queryRunner: QueryRunner): Promise<string> {
  const [row] = (await queryRunner.query(
    `SELECT pg_get_serial_sequence('system_events', 'id') AS sequence,
            (SELECT coalesce(max(id), 0) FROM system_events)::text AS largest`,
  )) as { sequence: string | null; largest: string }[];
  if (!row?.sequence) return row?.largest ?? '0';
  const [last] = (await queryRunner.query(
    `SELECT greatest(${row.largest}, CASE WHEN is_called THEN last_value ELSE 0 END)::text AS id FROM ${row.sequence}`,
  )) as { id: string }[];
  return last?.id ?? row.largest;
}

async function dropSeverityRules(queryRunner: QueryRunner): Promise<void> {
  const rules = (await queryRunner.query(
    `SELECT DISTINCT conname AS name FROM pg_constraint
     JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
     WHERE conrelid = 'system_events'::regclass AND contype = 'c' AND attname = 'severity'`,
  )) as { name: string }[];
  for (const { name } of rules) await queryRunner.query(`ALTER TABLE system_events DROP CONSTRAINT "${name}"`);
}

async function addMissingColumns(queryRunner: QueryRunner, columns: ReadonlyMap<string, string>): Promise<void> {
  const types = {
    details: 'jsonb',
    source: 'varchar(200)',
    timestamp: 'timestamptz(3)',
    created_at: 'timestamptz(3)',
    updated_at: 'timestamptz(3)',
    version: 'bigint NOT NULL DEFAULT 1',
  };
  for (const [name, type] of Object.entries(types)) {
    if (!columns.has(name)) await queryRunner.query(`ALTER TABLE system_events ADD COLUMN "${name}" ${type}`);
  }
}

async function convertColumns(queryRunner: QueryRunner, columns: ReadonlyMap<string, string>): Promise<void> {
  const time = (name: string): string =>
    columns.get(name)?.endsWith('without time zone') ? `"${name}" AT TIME ZONE 'UTC'` : `"${name}"`;
  const wished: [column: string, type: string, using: string][] = [
    ['id', 'bigint', 'id'],
    ['event_type', 'character varying(100)', 'event_type::text'],
    ['severity', 'character varying(20)', 'severity::text'],
    ['message', 'text', 'message::text'],
    ['details', 'jsonb', 'details::jsonb'],
    ['source', 'character varying(200)', 'source::text'],
    ...TIMES.map((name): [string, string, string] => [name, 'timestamp(3) with time zone', time(name)]),
  ];
  // A default of the old type may not convert; ours is set below.
  const defaults = wished.map(([column]) => `ALTER COLUMN "${column}" DROP DEFAULT`);
  await queryRunner.query(`ALTER TABLE system_events ALTER COLUMN id DROP IDENTITY IF EXISTS`);
  await queryRunner.query(`ALTER TABLE system_events ${defaults.join(', ')}`);
  const changes = wished
    .filter(([column, type]) => columns.has(column) && columns.get(column) !== type)
    .map(([column, type, using]) => `ALTER COLUMN "${column}" TYPE ${type} USING ${using}`);
  if (changes.length > 0) await queryRunner.query(`ALTER TABLE system_events ${changes.join(', ')}`);
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
       "timestamp" = coalesce("timestamp", created_at, now()),
       created_at = coalesce(created_at, "timestamp", now()),
       updated_at = coalesce(updated_at, created_at, "timestamp", now())
     WHERE "timestamp" IS NULL OR created_at IS NULL OR updated_at IS NULL`,
  );
  const rules = [
    ...TIMES.map((column) => `ALTER COLUMN "${column}" SET DEFAULT now()`),
    ...['event_type', 'severity', 'message', ...TIMES].map((column) => `ALTER COLUMN "${column}" SET NOT NULL`),
  ];
  await queryRunner.query(`ALTER TABLE system_events ${rules.join(', ')}`);
}

async function identifyById(queryRunner: QueryRunner, lastId: string): Promise<void> {
  const [primaryKey] = (await queryRunner.query(
    `SELECT conname AS name FROM pg_constraint WHERE conrelid = 'system_events'::regclass AND contype = 'p'`,
  )) as { name: string }[];
  if (!primaryKey) {
    await queryRunner.query('ALTER TABLE system_events ADD CONSTRAINT system_events_pkey PRIMARY KEY (id)');
  } else if (primaryKey.name !== 'system_events_pkey') {
    await queryRunner.query(`ALTER TABLE system_events RENAME CONSTRAINT "${primaryKey.name}" TO system_events_pkey`);
  }
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
    `SELECT attname AS name FROM pg_attribute
     WHERE attrelid = 'system_events'::regclass AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef
       AND attname NOT IN ('id', 'event_type', 'severity', 'message', 'timestamp', 'created_at', 'updated_at', 'version')`,
  )) as { name: string }[];
  for (const { name } of rows) {
    await queryRunner.query(`ALTER TABLE system_events ALTER COLUMN "${name}" DROP NOT NULL`);
  }
}
