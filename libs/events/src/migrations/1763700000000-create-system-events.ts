import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Marks a table that was there before, so that the way back does not drop what it did not create. */
const ADOPTED = 'eventdeck: adopted from an earlier events backend';

const INDEXES = {
  system_events_timestamp_idx: '("timestamp" DESC, id DESC)',
  system_events_event_type_idx: '(event_type, "timestamp" DESC, id DESC)',
  system_events_severity_idx: '(severity, "timestamp" DESC, id DESC)',
  system_events_source_idx: '(source, "timestamp" DESC, id DESC)',
};

/**
 * Creates `system_events`, or adopts the table of the earlier backend: integer ids from a sequence, narrower columns,
 * times perhaps without a zone (read as UTC), no `updated_at`. Every row is kept, with its id.
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
    const [table] = (await queryRunner.query(
      `SELECT obj_description('system_events'::regclass, 'pg_class') AS comment`,
    )) as { comment: string | null }[];
    if (table?.comment === ADOPTED) await giveBack(queryRunner);
    else await queryRunner.query('DROP TABLE system_events');
  }
}

async function columnTypes(queryRunner: QueryRunner): Promise<Map<string, string>> {
  const rows = (await queryRunner.query(
    `SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
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
         CONSTRAINT system_events_severity_check CHECK (severity IN ('info', 'warning', 'error', 'critical')),
       message text NOT NULL,
       details jsonb,
       source varchar(200),
       "timestamp" timestamptz(3) NOT NULL DEFAULT now(),
       created_at timestamptz(3) NOT NULL DEFAULT now(),
       updated_at timestamptz(3) NOT NULL DEFAULT now(),
       version bigint NOT NULL DEFAULT 1
     )`,
  );
}

async function adopt(queryRunner: QueryRunner, columns: ReadonlyMap<string, string>): Promise<void> {
  const missing = ['id', 'event_type', 'severity', 'message'].filter((name) => !columns.has(name));
  if (missing.length > 0) {
    throw new Error(
      `The database has a table system_events that is not an events backend's: it lacks ${missing.join(', ')}. Rename it, or give eventdeck a database of its own.`,
    );
  }
  await addMissingColumns(queryRunner, columns);
  await widenColumns(queryRunner, columns);
  await fillAndRequire(queryRunner);
  await identifyById(queryRunner);
  await checkSeverity(queryRunner);
  await relaxForeignColumns(queryRunner);
  await queryRunner.query(`COMMENT ON TABLE system_events IS '${ADOPTED}'`);
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

async function widenColumns(queryRunner: QueryRunner, columns: ReadonlyMap<string, string>): Promise<void> {
  const time = (name: string): string =>
    columns.get(name) === 'timestamp without time zone' ? `"${name}" AT TIME ZONE 'UTC'` : `"${name}"`;
  const changes: [column: string, type: string, using: string][] = [
    ['id', 'bigint', 'id'],
    ['event_type', 'varchar(100)', 'event_type::text'],
    ['severity', 'varchar(20)', 'severity::text'],
    ['message', 'text', 'message::text'],
    ['details', 'jsonb', 'details::jsonb'],
    ['source', 'varchar(200)', 'source::text'],
    ['timestamp', 'timestamptz(3)', time('timestamp')],
    ['created_at', 'timestamptz(3)', time('created_at')],
    ['updated_at', 'timestamptz(3)', time('updated_at')],
  ];
  // A default of the old type may not convert; ours is set below.
  const defaults = changes.map(([column]) => `ALTER COLUMN "${column}" DROP DEFAULT`);
  await queryRunner.query(`ALTER TABLE system_events ALTER COLUMN id DROP IDENTITY IF EXISTS`);
  await queryRunner.query(`ALTER TABLE system_events ${defaults.join(', ')}`);
  const types = changes.map(([column, type, using]) => `ALTER COLUMN "${column}" TYPE ${type} USING ${using}`);
  await queryRunner.query(`ALTER TABLE system_events ${types.join(', ')}`);
}

async function fillAndRequire(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query(
    `UPDATE system_events SET
       "timestamp" = coalesce("timestamp", created_at, now()),
       created_at = coalesce(created_at, "timestamp", now()),
       updated_at = coalesce(updated_at, created_at, "timestamp", now())
     WHERE "timestamp" IS NULL OR created_at IS NULL OR updated_at IS NULL`,
  );
  const times = ['timestamp', 'created_at', 'updated_at'];
  const rules = [
    ...times.map((column) => `ALTER COLUMN "${column}" SET DEFAULT now()`),
    ...['event_type', 'severity', 'message', ...times].map((column) => `ALTER COLUMN "${column}" SET NOT NULL`),
    ...['details', 'source'].map((column) => `ALTER COLUMN "${column}" DROP NOT NULL`),
  ];
  await queryRunner.query(`ALTER TABLE system_events ${rules.join(', ')}`);
}

async function identifyById(queryRunner: QueryRunner): Promise<void> {
  const constraints = (await queryRunner.query(
    `SELECT conname AS name FROM pg_constraint WHERE conrelid = 'system_events'::regclass AND contype = 'p'`,
  )) as { name: string }[];
  const [primaryKey] = constraints;
  if (!primaryKey)
    await queryRunner.query('ALTER TABLE system_events ADD CONSTRAINT system_events_pkey PRIMARY KEY (id)');
  else if (primaryKey.name !== 'system_events_pkey') {
    await queryRunner.query(`ALTER TABLE system_events RENAME CONSTRAINT "${primaryKey.name}" TO system_events_pkey`);
  }
  const [sequence] = (await queryRunner.query(`SELECT pg_get_serial_sequence('system_events', 'id') AS name`)) as {
    name: string | null;
  }[];
  if (sequence?.name) await queryRunner.query(`DROP SEQUENCE ${sequence.name}`);
  await queryRunner.query('ALTER TABLE system_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY');
  await queryRunner.query(
    `SELECT setval(pg_get_serial_sequence('system_events', 'id'), greatest((SELECT max(id) FROM system_events), 1), EXISTS (SELECT FROM system_events))`,
  );
}

// Rows with another severity stay as they are: the constraint then binds new and changed rows only.
async function checkSeverity(queryRunner: QueryRunner): Promise<void> {
  const allowed = `severity IN ('info', 'warning', 'error', 'critical')`;
  const others = (await queryRunner.query(`SELECT FROM system_events WHERE NOT (${allowed}) LIMIT 1`)) as unknown[];
  await queryRunner.query('ALTER TABLE system_events DROP CONSTRAINT IF EXISTS system_events_severity_check');
  await queryRunner.query(
    `ALTER TABLE system_events ADD CONSTRAINT system_events_severity_check CHECK (${allowed}) ${others.length > 0 ? 'NOT VALID' : ''}`,
  );
}

// A column that eventdeck does not know keeps its values but may no longer ask for one.
async function relaxForeignColumns(queryRunner: QueryRunner): Promise<void> {
  const rows = (await queryRunner.query(
    `SELECT attname AS name FROM pg_attribute
     WHERE attrelid = 'system_events'::regclass AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef
       AND attname NOT IN ('id', 'event_type', 'severity', 'message', 'timestamp', 'created_at', 'updated_at', 'version')`,
  )) as { name: string }[];
  for (const { name } of rows)
    await queryRunner.query(`ALTER TABLE system_events ALTER COLUMN "${name}" DROP NOT NULL`);
}

// The wider types stay: narrowing them could lose what was written since. Our rule for severities goes: those who wrote
// others before write them again.
async function giveBack(queryRunner: QueryRunner): Promise<void> {
  for (const name of Object.keys(INDEXES)) await queryRunner.query(`DROP INDEX IF EXISTS ${name}`);
  await queryRunner.query(
    `ALTER TABLE system_events DROP COLUMN version, DROP COLUMN updated_at, DROP CONSTRAINT system_events_severity_check`,
  );
  await queryRunner.query('ALTER TABLE system_events ALTER COLUMN id SET GENERATED BY DEFAULT');
  await queryRunner.query('COMMENT ON TABLE system_events IS NULL');
}
