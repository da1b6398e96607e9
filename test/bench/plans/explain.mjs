import pg from 'pg';
import { prepareValue } from 'pg/lib/utils.js';

/** A scan of the whole table of events, or of one of its partitions. */
const SCAN = /Seq Scan on (?:\w+\.)?system_events/;

/**
 * Runs a statement and records its plan; a named one also with the plan that PostgreSQL may keep for any values.
 *
 * @param client connected to the database, in no transaction
 * @returns `{ text, values, plan, genericPlan, ms, scans }`
 */
export async function explain(client, { name, text, values }) {
  const plan = await inTransaction(client, () => planOf(client, text, values));
  const genericPlan = name && values.length > 0 ? await inTransaction(client, () => generic(client, text, values)) : '';
  const [, ms] = /Execution Time: ([\d.]+) ms/.exec(plan) ?? [];
  return { text, values, plan, genericPlan, ms: Number(ms), scans: SCAN.test(plan) || SCAN.test(genericPlan) };
}

async function planOf(client, text, values = []) {
  const { rows } = await client.query(`EXPLAIN (ANALYZE, BUFFERS) ${text}`, values);
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

async function generic(client, text, values) {
  await client.query('SET LOCAL plan_cache_mode = force_generic_plan');
  await client.query(`PREPARE recorded AS ${text}`);
  try {
    return await planOf(client, `EXECUTE recorded (${values.map(literal).join(', ')})`);
  } finally {
    await client.query('DEALLOCATE recorded');
  }
}

function literal(value) {
  const prepared = prepareValue(value);
  return prepared === null ? 'NULL' : pg.escapeLiteral(String(prepared));
}

// EXPLAIN ANALYZE runs the statement: nothing that it changes may stay.
async function inTransaction(client, work) {
  await client.query('BEGIN READ ONLY');
  try {
    return await work();
  } finally {
    await client.query('ROLLBACK');
  }
}
