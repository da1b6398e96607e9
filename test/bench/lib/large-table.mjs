import { performance } from 'node:perf_hooks';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { countEvents, createDatabase, databaseName, query, withDatabase } from './databases.mjs';
import { randomEvent } from './events.mjs';
import { log, logInPlace } from './log.mjs';
import { migrate } from './processes.mjs';
import { seededRandom } from './random.mjs';

/** Events of one COPY, which is one transaction: the triggers of the table see them together. */
const CHUNK_EVENTS = 100_000;

/** Milliseconds over which the events are spread, and by which the last of them is older than the run. */
const SPAN_MS = 30 * 24 * 60 * 60 * 1000;
const AGE_MS = 60_000;

const SEED = 20_260_131;

/**
 * The database of `--reuse`, or a new one with `--rows` events and the tables of `build`.
 *
 * @returns its URL and how many events it holds
 */
export async function largeTable(options, cleanup, build) {
  if (options.reuse !== undefined) return reuse(options);
  const rows = options.rows;
  const url = await createDatabase(options.database, options.keep ? kept() : cleanup);
  await migrate(url, build);
  log(`Loading ${rows.toLocaleString('en-US')} events into ${databaseName(url)}`);
  const start = performance.now();
  await loadEvents(url, rows);
  // Also what autovacuum would do some minutes later, in the middle of a measurement.
  await query(url, 'VACUUM (ANALYZE)');
  log(`  loaded in ${Math.round((performance.now() - start) / 1000)} s`);
  if (options.keep) log(`Kept: take it again with --reuse ${databaseName(url)}, and drop it when it is not needed`);
  return { url, rows };
}

async function reuse(options) {
  const url = withDatabase(options.database, options.reuse);
  await migrate(url);
  return { url, rows: await countEvents(url) };
}

/** Where the drop is left out. */
function kept() {
  return { add: () => undefined };
}

/** Stores `rows` events in the order of their times; the same events at each call, counted back from this minute. */
async function loadEvents(url, rows) {
  const random = seededRandom(SEED);
  const end = Math.floor(Date.now() / 60_000) * 60_000 - AGE_MS;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (let stored = 0; stored < rows;) {
      const count = Math.min(CHUNK_EVENTS, rows - stored);
      await copy(
        client,
        linesOf(random, stored, count, (row) => end - SPAN_MS + (SPAN_MS * row) / rows),
      );
      stored += count;
      logInPlace(`  ${Math.floor((stored / rows) * 100)} %`);
    }
  } finally {
    logInPlace('');
    await client.end();
  }
}

function copy(client, lines) {
  const columns = 'event_type, severity, message, details, source, "timestamp", created_at, updated_at';
  return pipeline(Readable.from(lines), client.query(copyFrom(`COPY system_events (${columns}) FROM STDIN`)));
}

/** The events as text of COPY, some hundred in each piece. */
function* linesOf(random, first, count, timeOf) {
  let piece = '';
  for (let row = first; row < first + count; row += 1) {
    piece += line(randomEvent(random), new Date(timeOf(row)).toISOString());
    if (piece.length < 65_536) continue;
    yield piece;
    piece = '';
  }
  yield piece;
}

function line({ event_type, severity, message, details, source }, time) {
  const columns = [event_type, severity, message, JSON.stringify(details), source ?? '\\N', time, time, time];
  return `${columns.join('\t')}\n`;
}
