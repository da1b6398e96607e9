// `npm run bench:plans`: see `--help`.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL, URL } from 'node:url';
import pg from 'pg';
import { query } from './lib/databases.mjs';
import { HttpClient } from './lib/http-client.mjs';
import { largeTable } from './lib/large-table.mjs';
import { log } from './lib/log.mjs';
import { runMain } from './lib/main.mjs';
import { parsePlanOptions, planUsage } from './lib/options.mjs';
import { startApp } from './lib/processes.mjs';
import { writeDocument } from './lib/document.mjs';
import { planDocument, verdictOf } from './plans/document.mjs';
import { explain } from './plans/explain.mjs';
import { REQUESTS } from './plans/requests.mjs';

const HOOK = pathToFileURL(join(import.meta.dirname, 'plans/capture-queries.mjs')).href;

/** What reads, and what of that the service does for itself in the background. */
const READS = /^\s*(SELECT|WITH)\b/i;
const CHANGES = /\b(INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM)\b/i;
const OWN = /^\s*SELECT 1\s*$|service_runs|pg_(try_)?advisory|\bmigrations\b/i;

async function main(args, cleanup) {
  const options = parsePlanOptions(args);
  if (options.help) {
    console.log(planUsage());
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'eventdeck-plans-'));
  cleanup.add(() => rmSync(folder, { recursive: true, force: true }));
  const { url, rows } = await largeTable(options, cleanup);
  const captured = new CapturedStatements(join(folder, 'statements'));
  const app = await startApp(url, cleanup, { CACHE: 'off', BENCH_CAPTURE_FILE: captured.file }, ['--import', HOOK]);
  const plans = await recordAll(new HttpClient(app.url), url, captured);
  const [{ version }] = await query(url, `SELECT current_setting('server_version') AS version`);
  for (const plan of plans) console.log(`${verdictOf(plan).padEnd(16)} ${plan.method} ${plan.path}`);
  if (options.write) await writeDocument('query-plans.md', planDocument({ rows, version, plans }));
  return plans.every((plan) => !plan.problem && verdictOf(plan) !== 'YES') ? 0 : 1;
}

async function recordAll(client, url, captured) {
  const database = new pg.Client({ connectionString: url });
  await database.connect();
  try {
    const plans = [];
    for (const request of REQUESTS) plans.push(await record(client, database, captured, request));
    return plans;
  } finally {
    client.close();
    await database.end();
  }
}

/** The plan of each statement of a request, or the problem that it has. */
async function record(client, database, captured, { after = 0, method = 'GET', ...request }) {
  log(`${method} ${request.path}`);
  const recorded = { after, method, ...request, statements: [] };
  try {
    const path = await pageAfter(client, request.path, after);
    captured.forget();
    await client.expect(200, method, path);
    const statements = captured.taken();
    for (const statement of statements) recorded.statements.push(await explain(database, statement));
    return recorded;
  } catch (error) {
    log(`  ${error.message}`);
    const [problem] = /answered \d+/.exec(error.message) ?? ['not recorded'];
    return { ...recorded, problem };
  }
}

async function pageAfter(client, path, pages) {
  let next = path;
  for (let page = 0; page < pages; page += 1) {
    const { headers } = await client.expect(200, 'GET', next);
    const [, target] = /<([^>]+)>; *rel="?next"?/.exec(headers.link ?? '') ?? [];
    if (!target) throw new Error(`no next page after ${page + 1}`);
    const { pathname, search } = new URL(target, client.base);
    next = `${pathname}${search}`;
  }
  return next;
}

/** The statements that the application writes down, since the last `forget`. */
class CapturedStatements {
  constructor(file) {
    this.file = file;
    this.forget();
  }

  forget() {
    writeFileSync(this.file, '');
  }

  /** Those that read events, each text once: an export sends the same one for each page. */
  taken() {
    const lines = readFileSync(this.file, 'utf8').split('\n').filter(Boolean);
    const statements = new Map();
    for (const statement of lines.map((line) => JSON.parse(line))) {
      const { text } = statement;
      if (!READS.test(text) || CHANGES.test(text) || OWN.test(text) || statements.has(text)) continue;
      statements.set(text, statement);
    }
    return [...statements.values()];
  }
}

runMain(main);
