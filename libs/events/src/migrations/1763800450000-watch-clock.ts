import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Creates `database_clock`, with the time of the newest event that is there already: nothing else tells what time it is. */
export class WatchClock1763800450000 implements MigrationInterface {
  readonly name = 'WatchClock1763800450000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE TABLE database_clock (
         id boolean CONSTRAINT database_clock_pkey PRIMARY KEY DEFAULT true,
         trusted_at timestamptz(3) NOT NULL,
         doubted_since timestamptz(3),
         doubted_at timestamptz(3)
       )`,
    );
    await queryRunner.query(
      `INSERT INTO database_clock (trusted_at)
       SELECT coalesce((SELECT created_at FROM system_events ORDER BY id DESC LIMIT 1), now())`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE database_clock');
  }
}
