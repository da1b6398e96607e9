import type { MigrationInterface, QueryRunner } from 'typeorm';

/** ASCII punctuation as an SQL literal, and as many spaces. */
const PUNCTUATION = `E'!"#$%&\\'()*+,-./:;<=>?@[\\\\]^_\`{|}~'`;
const SPACES = `repeat(' ', 32)`;

/**
 * Full-text search over messages and containment in `details`.
 *
 * Words are those of the `simple` configuration after the punctuation is opened up: else PostgreSQL's parser takes
 * `com.foo.BarService` for a host and `/dev/sda1` for a path, whole. What is searched for is opened up the same way and
 * looked for as a phrase, which finds such names whole as well.
 */
export class IndexSearchAndDetails1763800000000 implements MigrationInterface {
  readonly name = 'IndexSearchAndDetails1763800000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE FUNCTION event_search_vector(message text) RETURNS tsvector
       LANGUAGE sql IMMUTABLE PARALLEL SAFE
       RETURN to_tsvector('pg_catalog.simple'::regconfig, translate(message, ${PUNCTUATION}, ${SPACES}))`,
    );
    await queryRunner.query(
      `CREATE INDEX system_events_search_idx ON system_events USING gin (event_search_vector(message))`,
    );
    await queryRunner.query(
      `CREATE INDEX system_events_details_idx ON system_events USING gin (details jsonb_path_ops)`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX system_events_details_idx');
    await queryRunner.query('DROP INDEX system_events_search_idx');
    await queryRunner.query('DROP FUNCTION event_search_vector(text)');
  }
}
