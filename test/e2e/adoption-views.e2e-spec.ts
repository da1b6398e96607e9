import { randomBytes } from 'node:crypto';
import { adopt, EARLIER_ROWS, earlierTable } from '../support/adoption';
import { query, useDatabases } from '../support/databases';

describe('views on the table of an earlier backend', () => {
  const createDatabase = useDatabases();

  /** Views of a schema, and all that is said of them. */
  const DESCRIPTIONS = `
    SELECT relname AS name, relkind AS kind, pg_get_userbyid(relowner) AS owner, reloptions AS options,
      relacl::text AS grants, obj_description(pg_class.oid, 'pg_class') AS comment, pg_get_viewdef(pg_class.oid) AS text,
      (SELECT json_agg(json_build_array(attname, attacl::text, col_description(attrelid, attnum)) ORDER BY attnum)
       FROM pg_attribute WHERE attrelid = pg_class.oid AND attnum > 0) AS columns,
      ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = pg_class.oid ORDER BY 1) AS indexes
    FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'reports'::regnamespace) AND relkind IN ('v', 'm') ORDER BY relname`;

  it('are there again, with all that they had', async () => {
    const database = await createDatabase(null);
    const suffix = randomBytes(6).toString('hex');
    const [owner, reader] = [`eventdeck_owner_${suffix}`, `eventdeck_reader_${suffix}`];
    await query(database.url, `CREATE ROLE ${owner}; CREATE ROLE ${reader}`);
    try {
      const views = `
        CREATE SCHEMA reports;
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
        CREATE VIEW severe WITH (security_barrier = true) AS
          SELECT id, message AS "the ""text""", "timestamp"::date AS day FROM system_events WHERE severity = 'error';
        REVOKE ALL ON severe FROM PUBLIC;
        CREATE VIEW reports.per_day AS SELECT day, count(*) AS events FROM severe GROUP BY day;
        CREATE VIEW checked AS SELECT * FROM system_events WHERE source IS NULL WITH CASCADED CHECK OPTION;
        CREATE MATERIALIZED VIEW kept WITH (fillfactor = 70) AS SELECT day, events FROM reports.per_day;
        CREATE MATERIALIZED VIEW empty AS SELECT id FROM system_events WITH NO DATA;
        CREATE UNIQUE INDEX kept_day ON kept (day);
        CREATE VIEW unconcerned AS SELECT 1 AS one;
        GRANT SELECT ON system_events TO ${owner};
        ALTER VIEW severe OWNER TO ${owner};
        GRANT SELECT ON severe TO ${reader} WITH GRANT OPTION;
        GRANT UPDATE (day) ON severe TO PUBLIC;
        COMMENT ON VIEW severe IS 'what''s bad';
        COMMENT ON COLUMN severe.day IS 'in UTC';
        COMMENT ON MATERIALIZED VIEW kept IS 'nightly';`;
      await query(database.url, earlierTable() + EARLIER_ROWS + views);
      const before = await query(database.url, DESCRIPTIONS);
      expect(before).toHaveLength(6);
      await adopt(database);
      expect(await query(database.url, DESCRIPTIONS)).toEqual(before);
      expect(await query(database.url, 'SELECT day::text, events FROM reports.per_day')).toEqual([
        { day: '2025-03-31', events: '1' },
      ]);
      expect(await query(database.url, `SELECT "the ""text""" AS text FROM severe`)).toEqual([{ text: 'second' }]);
    } finally {
      await query(database.url, `DROP OWNED BY ${owner}, ${reader} CASCADE; DROP ROLE ${owner}, ${reader}`);
    }
  });

  it.each([
    ['a rule', 'CREATE RULE quiet AS ON INSERT TO seen DO INSTEAD NOTHING', /view public\.seen is in the way/],
    ['a default', `ALTER VIEW seen ALTER COLUMN message SET DEFAULT 'x'`, /view public\.seen is in the way.*default/],
    [
      'a trigger',
      `CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
       CREATE TRIGGER quiet INSTEAD OF INSERT ON seen FOR EACH ROW EXECUTE FUNCTION nothing()`,
      /view public\.seen is in the way.*trigger/,
    ],
    [
      'a function of its rows',
      `CREATE FUNCTION firsts() RETURNS SETOF seen LANGUAGE sql AS 'SELECT * FROM seen'`,
      /view public\.seen is in the way.*function firsts/,
    ],
    [
      'a rule on another table',
      'CREATE TABLE other (id int); CREATE RULE also AS ON DELETE TO other DO ALSO DELETE FROM system_events WHERE system_events.id = old.id',
      /table public\.other is in the way.*a rule on it/,
    ],
    [
      'a text that means nothing over the new types',
      `CREATE FUNCTION of_integer(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'; CREATE VIEW strict AS SELECT of_integer(id) FROM system_events`,
      /view public\.strict is in the way.*of_integer\(bigint\) does not exist/,
    ],
  ])('are named with what to do where they cannot be made again: %s', async (_, sql, problem) => {
    const database = await createDatabase(null);
    const prepare = `${earlierTable()} ${EARLIER_ROWS} CREATE VIEW seen AS SELECT id, message FROM system_events; ${sql};`;
    await expect(adopt(database, prepare)).rejects.toThrow(problem);
    await expect(adopt(database)).rejects.toThrow(
      /nothing was changed.*Drop it, start again, and make it again afterwards/,
    );
    expect(await query(database.url, 'SELECT id, message FROM seen ORDER BY id')).toEqual([
      { id: 1, message: 'first' },
      { id: 2, message: 'second' },
    ]);
  });
});
