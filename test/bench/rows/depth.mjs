import { performance } from 'node:perf_hooks';
import { URL } from 'node:url';
import { query } from '../lib/databases.mjs';
import { HttpClient } from '../lib/http-client.mjs';
import { log, logInPlace } from '../lib/log.mjs';
import { compare, median } from '../lib/measure.mjs';

const REQUIRED_DEPTH = 1_000_000;
const STEP = 1000;

/** Milliseconds to get there; pages of a cursor take a tenth of it. */
const MAX_MS = 120_000;

/** Requests for either page in one round. */
const REQUESTS = 50;

export const depth = {
  id: 'depth',
  title: 'a page at depth 1,000,000',
  async measure(bench) {
    const { url, rows } = await bench.largeTable();
    const target = depthIn(rows);
    const app = await bench.app(url);
    const client = new HttpClient(app.url);
    try {
      const { next, last } = await follow(client, target);
      await requireDepth(url, last, target);
      next.searchParams.set('limit', '100');
      const pages = { first: '/api/events?limit=100', deep: `${next.pathname}${next.search}` };
      const values = { first: [], deep: [] };
      for (let round = 0; round < bench.options.rounds; round += 1) {
        const { first, deep } = await readInTurn(client, pages);
        values.first.push(first);
        values.deep.push(deep);
      }
      const against = `the first page (the deep one at ${target.toLocaleString('en-US')})`;
      return [compare({ against, unit: 'ms', ours: values.deep, reference: values.first, atMost: 3 })];
    } finally {
      client.close();
    }
  },
};

/** The depth to measure at, where the table is small too. */
export function depthIn(rows) {
  return Math.min(REQUIRED_DEPTH, Math.floor((rows * 0.8) / STEP) * STEP);
}

/** Follows `Link: rel="next"` from the first page on. @returns the address of the page at that depth, and the event before */
export async function follow(client, depth) {
  log(`  following Link to depth ${depth.toLocaleString('en-US')}`);
  let next = new URL(`/api/events?limit=${STEP}`, client.base);
  let last;
  const end = performance.now() + MAX_MS;
  for (let passed = 0; passed < depth; passed += STEP) {
    if (performance.now() > end) throw new Error(`depth ${passed} after ${MAX_MS / 1000} s, not ${depth}`);
    const { headers, body } = await client.expect(200, 'GET', `${next.pathname}${next.search}`);
    const events = JSON.parse(body);
    if (events.length !== STEP) throw new Error(`a page of ${STEP} has ${events.length} events at depth ${passed}`);
    for (const event of events) {
      if (last && !comesBefore(last, event)) throw new Error(`event ${event.id} follows ${last.id} at depth ${passed}`);
      last = event;
    }
    const [, target] = /<([^>]+)>; *rel="?next"?/.exec(headers.link ?? '') ?? [];
    if (!target) throw new Error(`no next page at depth ${passed + STEP}`);
    next = new URL(target, next);
    logInPlace(`  ${passed + STEP}`);
  }
  logInPlace('');
  return { next, last };
}

function comesBefore(one, other) {
  return one.timestamp > other.timestamp || (one.timestamp === other.timestamp && one.id > other.id);
}

// No page left one out: the service itself stored a few newer ones meanwhile, and nobody else does.
async function requireDepth(url, last, depth) {
  const sql = 'SELECT count(*)::int AS events FROM system_events WHERE ("timestamp", id) >= ($1, $2)';
  const [{ events }] = await query(url, sql, [last.timestamp, last.id]);
  if (events < depth || events > depth + STEP) throw new Error(`${events} events were passed, not ${depth}`);
}

async function readInTurn(client, pages) {
  const taken = { first: [], deep: [] };
  for (let request = 0; request < REQUESTS; request += 1) {
    for (const [name, path] of Object.entries(pages)) taken[name].push((await client.expect(200, 'GET', path)).ms);
  }
  return { first: median(taken.first), deep: median(taken.deep) };
}
