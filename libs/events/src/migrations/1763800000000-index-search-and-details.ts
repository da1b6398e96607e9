import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Where PostgreSQL's parser would make one word of a name: at other punctuation it ends a word by itself. Every
 * character less is time saved, `translate` looks each one of a message up here.
 */
const JOINING = '.-/+&<~';

/**
 * Characters of a message that are searched: all that an event may have. An earlier backend may have stored more, and
 * PostgreSQL makes no word list of over 1 MiB; of this many characters, of up to four bytes, it makes a third of that.
 */
const SEARCHED = 65_536;

/**
 * Full-text search over messages and containment in `details`.
 *
 * Words are those of the `simple` configuration after names are opened up at their punctuation: else the parser takes
 * `com.foo.BarService` for a host and `/dev/sda1` for a path, whole. What is searched for is opened up the same way and
 * looked for as a phrase, which finds such names whole as well.
 *
 * The words are stored: to parse a message takes twenty times as long as to look into them, and what an index finds
 * must often be looked into, as must what is read in the order of time.
 */
export class IndexSearchAndDetails1763800000000 implements MigrationInterface {
  readonly name = 'IndexSearchAndDetails1763800000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `ALTER TABLE system_events ADD COLUMN search tsvector GENERATED ALWAYS AS (
         to_tsvector('pg_catalog.simple'::regconfig, translate(left(message, ${SEARCHED}), '${JOINING}', '${' '.repeat(JOINING.length)}'))
       ) STORED`,
    );
    await queryRunner.query(`CREATE INDEX system_events_search_idx ON system_events USING gin (search)`);
    await queryRunner.query(
      `CREATE INDEX system_events_details_idx ON system_events USING gin (details jsonb_path_ops)`,
    );
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX system_events_details_idx');
    await queryRunner.query('DROP INDEX system_events_search_idx');
    await queryRunner.query('ALTER TABLE system_events DROP COLUMN search');
  }
}
