import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The minute of an event. Its origin is the earliest time that an event may have: no bin is ever counted backwards. */
const MINUTE = `date_bin('1 minute', "timestamp", timestamptz '0001-01-01T00:00:00Z')`;
const KEY = 'event_type, severity, source';
const DELTA = `minute, ${KEY}, events`;
const TABLES = 'event_count_deltas, event_totals, event_value_totals, event_minutes';

/** What each kind of statement on `system_events` does to the counts. */
const TRIGGERS = {
  insert: {
    rows: 'NEW TABLE AS new_events',
    body: `INSERT INTO event_count_deltas (${DELTA})
           SELECT ${MINUTE}, ${KEY}, count(*) FROM new_events GROUP BY 1, 2, 3, 4`,
  },
  delete: {
    rows: 'OLD TABLE AS old_events',
    body: `INSERT INTO event_count_deltas (${DELTA})
           SELECT ${MINUTE}, ${KEY}, -count(*) FROM old_events GROUP BY 1, 2, 3, 4`,
  },
  // Most changes leave the four columns as they are, and then nothing is written.
  update: {
    rows: 'OLD TABLE AS old_events NEW TABLE AS new_events',
    body: `INSERT INTO event_count_deltas (${DELTA})
           SELECT minute, ${KEY}, sum(events) FROM (
             SELECT ${MINUTE} AS minute, ${KEY}, 1 AS events FROM new_events
             UNION ALL SELECT ${MINUTE}, ${KEY}, -1 FROM old_events
           ) AS changed GROUP BY 1, 2, 3, 4 HAVING sum(events) <> 0`,
  },
  truncate: {
    rows: undefined,
    body: `TRUNCATE ${TABLES}`,
  },
};

/**
 * Keeps counts of events: `event_totals` by type, severity and source; `event_value_totals` by each value of these three
 * alone, over all events (`severity` is null then) and over those of one severity; `event_minutes` by minute and
 * severity; and `event_count_deltas`, what was added to and taken from them since. A count is the sum of both, in one
 * statement.
 *
 * Triggers, one call a statement, append the deltas: so whatever changes `system_events`, psql too, is counted in its
 * own transaction, and no two writers ever wait for one counter. The service folds the deltas in.
 */
export class CountEvents1763800100000 implements MigrationInterface {
  readonly name = 'CountEvents1763800100000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await createTables(queryRunner);
    const schema = await currentSchema(queryRunner);
    for (const [kind, { rows, body }] of Object.entries(TRIGGERS)) {
      const name = `count_events_on_${kind}`;
      // With the rights of the table's owner: who may write events need not know of the counts.
      await queryRunner.query(
        `CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql
         SECURITY DEFINER SET search_path = ${schema}, pg_temp
         AS $$ BEGIN ${body}; RETURN NULL; END $$`,
      );
      await queryRunner.query(`REVOKE EXECUTE ON FUNCTION ${name}() FROM PUBLIC`);
      await queryRunner.query(
        `CREATE TRIGGER ${name} AFTER ${kind} ON system_events ${rows ? `REFERENCING ${rows}` : ''}
         FOR EACH STATEMENT EXECUTE FUNCTION ${name}()`,
      );
    }
    await createRecount(queryRunner, schema);
    await queryRunner.query('SELECT recount_events()');
    await queryRunner.query('ANALYZE event_totals, event_value_totals, event_minutes');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP FUNCTION recount_events()');
    for (const kind of Object.keys(TRIGGERS)) {
      await queryRunner.query(`DROP TRIGGER count_events_on_${kind} ON system_events`);
      await queryRunner.query(`DROP FUNCTION count_events_on_${kind}()`);
    }
    await queryRunner.query(`DROP TABLE ${TABLES}`);
  }
}

// Room in each page for new versions of its rows: updated in place, they need no new index entry.
async function createTables(queryRunner: QueryRunner): Promise<void> {
  const key = 'event_type varchar(100) NOT NULL, severity varchar(20) NOT NULL, source varchar(200)';
  await queryRunner.query(
    `CREATE TABLE event_count_deltas (minute timestamptz NOT NULL, ${key}, events bigint NOT NULL)`,
  );
  await queryRunner.query(
    `CREATE TABLE event_totals (
       ${key}, events bigint NOT NULL, CONSTRAINT event_totals_key UNIQUE NULLS NOT DISTINCT (${KEY})
     ) WITH (fillfactor = 50)`,
  );
  await queryRunner.query('CREATE INDEX event_totals_source_idx ON event_totals (source)');
  await createValueTotals(queryRunner);
  await queryRunner.query(
    `CREATE TABLE event_minutes (
       minute timestamptz, severity varchar(20), events bigint NOT NULL,
       CONSTRAINT event_minutes_pkey PRIMARY KEY (minute, severity)
     ) WITH (fillfactor = 90)`,
  );
}

/**
 * The second index has the rows of a field and a severity in the order of the most frequent values; that it is partial
 * keeps the planner from it where one value is looked up. Every change of a count moves a row in it and leaves an old
 * version behind, so vacuum comes before a fifth of a large table is old.
 */
async function createValueTotals(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query(
    `CREATE TABLE event_value_totals (
       field varchar(20) NOT NULL, value varchar(200), severity varchar(20), events bigint NOT NULL,
       CONSTRAINT event_value_totals_key UNIQUE NULLS NOT DISTINCT (field, value, severity)
     ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)`,
  );
  await queryRunner.query(
    `CREATE INDEX event_value_totals_rank_idx
     ON event_value_totals (field, severity, events DESC, value COLLATE "C") WHERE events <> 0`,
  );
}

/**
 * The function that counts anew, in one pass: for the rows that are there when the counts begin, and for who loads rows
 * past the triggers later (`pg_restore --data-only --disable-triggers`). Writers wait meanwhile, readers do not wait
 * until it empties the tables of counts.
 */
async function createRecount(queryRunner: QueryRunner, schema: string): Promise<void> {
  await queryRunner.query(
    `CREATE FUNCTION recount_events() RETURNS void LANGUAGE plpgsql SET search_path = ${schema}, pg_temp AS $$
     BEGIN
       LOCK TABLE system_events IN SHARE ROW EXCLUSIVE MODE;
       TRUNCATE ${TABLES};
       WITH counted AS MATERIALIZED (
         SELECT ${KEY}, ${MINUTE} AS minute, grouping(event_type) = 0 AS is_total, count(*) AS events
         FROM system_events GROUP BY GROUPING SETS ((event_type, severity, source), (4, severity))
       ), totals AS (
         INSERT INTO event_totals (${KEY}, events) SELECT ${KEY}, events FROM counted WHERE is_total
       ), value_totals AS (
         INSERT INTO event_value_totals (field, value, severity, events)
         SELECT field, value, total.severity, sum(events) FROM counted,
           LATERAL (VALUES ('event_type', event_type), ('severity', counted.severity), ('source', source)) AS named (field, value),
           LATERAL (VALUES (counted.severity), (NULL)) AS total (severity)
         WHERE is_total GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
       )
       INSERT INTO event_minutes (minute, severity, events)
       SELECT minute, severity, events FROM counted WHERE NOT is_total;
     END $$`,
  );
}

async function currentSchema(queryRunner: QueryRunner): Promise<string> {
  const [row] = (await queryRunner.query('SELECT quote_ident(current_schema()) AS name')) as { name: string }[];
  return row?.name ?? 'public';
}
