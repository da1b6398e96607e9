import type { QueryRunner } from 'typeorm';
import { hasOtherTypes } from './adopt-columns';
import { reasonOf, refusal } from './adoption-problems';

interface View {
  name: string;
  kind: string;
  /** What of it cannot be made again. */
  problem: string | null;
  create: string;
  /** Its owner, grants, comments and indexes. */
  then: string[];
}

/** Views on the table, and on these, and so on; each one behind those that it is made of. */
const DEPENDENTS = `
  WITH RECURSIVE dependent AS (
    SELECT 'system_events'::regclass::oid AS oid, 0 AS depth
    UNION SELECT ev_class, depth + 1 FROM dependent
    JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = dependent.oid AND classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite ON pg_rewrite.oid = objid AND ev_class <> dependent.oid
  ), dependents AS (
    SELECT oid, max(depth) AS depth FROM dependent WHERE depth > 0 GROUP BY oid
  )`;

const GRANTEE = `CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END`;
const GRANTABLE = `CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END`;

const VIEWS = `${DEPENDENTS}, views AS (
    SELECT pg_class.oid, depth, relkind, relname, reloptions, relacl, relowner, relispopulated, reltablespace, relam,
      format('%I.%I', nspname, relname) AS name,
      CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS kind
    FROM dependents JOIN pg_class USING (oid) JOIN pg_namespace ON pg_namespace.oid = relnamespace
  )
  SELECT name, kind,
    CASE
      WHEN relkind NOT IN ('v', 'm') THEN 'a rule on it'
      WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = views.oid AND rulename <> '_RETURN') THEN 'a rule on it'
      WHEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = views.oid AND NOT tgisinternal) THEN 'a trigger on it'
      WHEN EXISTS (SELECT FROM pg_attrdef WHERE adrelid = views.oid) THEN 'a default of its columns'
      WHEN EXISTS (SELECT FROM pg_seclabel WHERE objoid = views.oid) THEN 'its security label'
    END AS problem,
    CASE WHEN relkind IN ('v', 'm') THEN concat_ws(' ', 'CREATE', kind, name,
      'WITH (' || array_to_string(reloptions, ', ') || ')',
      (SELECT 'TABLESPACE ' || quote_ident(spcname) FROM pg_tablespace WHERE oid = reltablespace),
      'AS', rtrim(pg_get_viewdef(views.oid), ';'),
      CASE WHEN relkind = 'm' AND NOT relispopulated THEN 'WITH NO DATA' END
    ) END AS create,
    ARRAY(
      SELECT format('ALTER %s %s OWNER TO %I', kind, name, pg_get_userbyid(relowner)) WHERE relowner <> current_user::regrole
    ) || ARRAY(
      SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = views.oid ORDER BY indexrelid
    ) || ARRAY(
      SELECT format('GRANT %s ON %s TO %s%s', privilege_type, name, ${GRANTEE}, ${GRANTABLE})
      FROM aclexplode(relacl) ORDER BY grantor <> relowner
    ) || ARRAY(
      SELECT format('GRANT %s (%I) ON %s TO %s%s', privilege_type, attname, name, ${GRANTEE}, ${GRANTABLE})
      FROM pg_attribute, aclexplode(attacl) WHERE attrelid = views.oid
    ) || ARRAY(
      SELECT format('COMMENT ON %s %s IS %L', kind, name, obj_description(views.oid, 'pg_class'))
      WHERE obj_description(views.oid, 'pg_class') IS NOT NULL
    ) || ARRAY(
      SELECT format('COMMENT ON COLUMN %s.%I IS %L', name, attname, col_description(views.oid, attnum))
      FROM pg_attribute WHERE attrelid = views.oid AND col_description(views.oid, attnum) IS NOT NULL
    ) AS then
  FROM views ORDER BY depth, name`;

/** What default privileges granted on a view just made. */
const GRANTED = `
  SELECT DISTINCT ${GRANTEE} AS grantee FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = $1::regclass`;

/**
 * Drops the views that depend on the table, if they keep a column from its new type; what it returns makes them again,
 * with the same text, owner, options, grants, comments and indexes. A materialized view reads its rows anew.
 *
 * @throws Error that names a view which cannot be made again as it was
 */
export async function takeViews(queryRunner: QueryRunner): Promise<() => Promise<void>> {
  const views = (await hasOtherTypes(queryRunner)) ? ((await queryRunner.query(VIEWS)) as View[]) : [];
  for (const view of [...views].reverse()) {
    if (view.problem !== null) throw inTheWay(view, `${view.problem} cannot be made again`);
    await named(view, () => queryRunner.query(`DROP ${view.kind} ${view.name}`));
  }
  return async () => {
    for (const view of views) await named(view, () => restore(queryRunner, view));
  };
}

async function restore(queryRunner: QueryRunner, { name, create, then }: View): Promise<void> {
  await queryRunner.query(create);
  const granted = (await queryRunner.query(GRANTED, [name])) as { grantee: string }[];
  for (const { grantee } of granted) await queryRunner.query(`REVOKE ALL ON ${name} FROM ${grantee}`);
  for (const statement of then) await queryRunner.query(statement);
}

async function named(view: View, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const reason = reasonOf(error);
    throw reason === undefined ? error : inTheWay(view, reason, error);
  }
}

function inTheWay({ kind, name }: View, why: string, cause?: unknown): Error {
  return refusal(
    `${kind.toLowerCase()} ${name} is in the way (${why}). Drop it, start again, and make it again afterwards.`,
    cause,
  );
}
