import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Creates `idempotency_keys`: what was answered to a request that may come again. */
export class CreateIdempotencyKeys1763800200000 implements MigrationInterface {
  readonly name = 'CreateIdempotencyKeys1763800200000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE TABLE idempotency_keys (
         digest bytea CONSTRAINT idempotency_keys_pkey PRIMARY KEY,
         fingerprint bytea NOT NULL,
         status smallint NOT NULL,
         headers jsonb NOT NULL,
         body text NOT NULL,
         created_at timestamptz(3) NOT NULL DEFAULT now()
       )`,
    );
    await queryRunner.query('CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at)');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE idempotency_keys');
  }
}
