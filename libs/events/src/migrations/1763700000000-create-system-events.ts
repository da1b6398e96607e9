import type { MigrationInterface, QueryRunner } from 'typeorm';
import { adoptSystemEvents, SEVERITY_RULE, TIME_RULE } from './adopt-system-events';

const INDEXES = {
  system_events_timestamp_idx: '("timestamp" DESC, id DESC)',
  system_events_event_type_idx: '(event_type, "timestamp" DESC, id DESC)',
  system_events_severity_idx: '(severity, "timestamp" DESC, id DESC)',
  system_events_source_idx: '(source, "timestamp" DESC, id DESC)',
};

/**
 * Creates `system_events`, or adopts the table of the earlier backend (see `adoptSystemEvents`): every row is kept, with
 * its id.
 *
 * There is no way back for rows: a table that holds any is never dropped.
 */
export class CreateSystemEvents1763700000000 implements MigrationInterface {
  readonly name = 'CreateSystemEvents1763700000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const [table] = (await queryRunner.query(`SELECT to_regclass('system_events')::text AS name`)) as {
      name: string | null;
    }[];
    if (table?.name == null) await create(queryRunner);
    else await adoptSystemEvents(queryRunner);
    for (const [name, columnList] of Object.entries(INDEXES)) {
      await queryRunner.query(`CREATE INDEX ${name} ON system_events ${columnList}`);
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
