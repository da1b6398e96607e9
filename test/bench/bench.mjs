// `npm run bench`: see `--help`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BuildComparison } from './builds/compare-builds.mjs';
import { WORKS } from './builds/works.mjs';
import { Bench } from './lib/bench.mjs';
import { requireLocalPostgres } from './lib/cpu-meter.mjs';
import { query } from './lib/databases.mjs';
import { writeDocument } from './lib/document.mjs';
import { chooseGenerator } from './lib/http-load.mjs';
import { log } from './lib/log.mjs';
import { runMain } from './lib/main.mjs';
import { parseOptions, usage } from './lib/options.mjs';
import { versionOf } from './lib/processes.mjs';
import { describeMachine, markdown, plainText, tableOf, tableOfBuilds } from './lib/report.mjs';
import { ROWS } from './rows/index.mjs';

const ROOT = join(import.meta.dirname, '../..');
const ROW_IDS = ROWS.map(({ id }) => id);

async function main(args, cleanup) {
  const options = parseOptions(args, ROW_IDS);
  if (options.help) {
    console.log(usage(ROW_IDS));
    return 0;
  }
  if (options.against !== undefined) await requireLocalPostgres(options.database);
  const folder = mkdtempSync(join(tmpdir(), 'eventdeck-bench-'));
  cleanup.add(() => rmSync(folder, { recursive: true, force: true }));
  const generator = await chooseGenerator(options.generator, folder);
  const machine = describeMachine(await versions(options.database, generator));
  for (const [name, value] of machine) log(`${name}: ${value}`);
  if (options.against !== undefined) return compareBuilds(options, generator, cleanup);
  const bench = new Bench({ options, generator, folder, run: cleanup });
  const results = [];
  for (const id of options.only) results.push(await measure(bench, id));
  const table = tableOf(results);
  console.log(plainText(table));
  if (options.write) {
    const { rows } = await bench.largeTable();
    await writeDocument('benchmarks.md', markdown({ table, machine, options, rows }));
  }
  return results.every(({ lines }) => lines.every(isGood)) ? 0 : 1;
}

async function compareBuilds(options, generator, run) {
  const folders = { before: options.against, ours: ROOT };
  const comparison = new BuildComparison({ options, generator, folders, run });
  const results = [];
  for (const id of options.only) {
    const { title } = ROWS.find((row) => row.id === id);
    log(`${id}: ${title}`);
    results.push(await orFailed(title, () => comparison.compare({ title, ...WORKS[id] })));
  }
  console.log(plainText(tableOfBuilds(results)));
  return results.every(({ verdict }) => ['holds', 'better'].includes(verdict)) ? 0 : 1;
}

async function orFailed(title, compare) {
  try {
    return await compare();
  } catch (error) {
    log(`  ${error.message}`);
    return { title, verdict: `FAILED: ${error.message.split('\n')[0].slice(0, 80)}` };
  }
}

function isGood({ verdict }) {
  return ['holds', 'for information', 'skipped'].includes(verdict);
}

/** A row that cannot be measured does not hold, and the others are measured all the same. */
async function measure(bench, rowId) {
  const { title, measure: measureRow } = ROWS.find(({ id }) => id === rowId);
  log(`${rowId}: ${title}`);
  try {
    return { title, lines: await bench.scoped(measureRow) };
  } catch (error) {
    log(`  ${error.message}`);
    return { title, lines: [{ against: error.message.split('\n')[0].slice(0, 80), verdict: 'FAILED' }] };
  }
}

async function versions(database, generator) {
  const [{ version }] = await query(database, `SELECT current_setting('server_version') AS version`);
  return {
    'Node.js': process.versions.node,
    PostgreSQL: version,
    pgbench: (await versionOf('pgbench', '--version')) ?? 'not installed',
    'load generator': generator.version,
  };
}

runMain(main);
