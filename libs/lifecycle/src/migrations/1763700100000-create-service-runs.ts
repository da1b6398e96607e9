import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Creates `service_runs`. */
export class CreateServiceRuns1763700100000 implements MigrationInterface {
  readonly name = 'CreateServiceRuns1763700100000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE TABLE service_runs (
         id uuid CONSTRAINT service_runs_pkey PRIMARY KEY,
         service_name varchar(200) NOT NULL,
         host varchar(255) NOT NULL,
         pid integer NOT NULL,
         version varchar(50) NOT NULL,
         started_at timestamptz(3) NOT NULL DEFAULT now(),
         heartbeat_at timestamptz(3) NOT NULL DEFAULT now(),
         expires_at timestamptz(3) NOT NULL,
         ended_at timestamptz(3),
         outcome varchar(20)
       )`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE service_runs');
  }
}
