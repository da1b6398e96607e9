import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Creates `retention_runs`: when old events were deleted, and by it which process does so now. */
export class CreateRetentionRuns1763800300000 implements MigrationInterface {
  readonly name = 'CreateRetentionRuns1763800300000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE TABLE retention_runs (
         id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT retention_runs_pkey PRIMARY KEY,
         started_at timestamptz(3) NOT NULL,
         expires_at timestamptz(3) NOT NULL,
         ended_at timestamptz(3),
         deleted bigint NOT NULL DEFAULT 0
       )`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE retention_runs');
  }
}
