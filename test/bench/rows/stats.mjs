import { performance } from 'node:perf_hooks';
import pg from 'pg';
import { HttpClient } from '../lib/http-client.mjs';
import { compare, median, takeTurns } from '../lib/measure.mjs';

/** Requests of one round; the scan takes so long that it runs once. */
const REQUESTS = 50;

export const STATS = '/api/events/stats';

/** The statistics as they were before the counts were kept: two passes over the table. */
const SCAN_SQL = `
  WITH by_group AS (
    SELECT event_type, severity, count(*) AS events, max("timestamp") AS newest
    FROM system_events GROUP BY event_type, severity
  ), by_type AS (
    SELECT event_type, sum(events) AS events FROM by_group
    GROUP BY event_type ORDER BY events DESC, event_type LIMIT 100
  ), by_severity AS (
    SELECT severity, sum(events) AS events FROM by_group GROUP BY severity
  )
  SELECT json_build_object(
    'total_events', (SELECT coalesce(sum(events), 0) FROM by_group),
    'events_by_severity', (
      SELECT json_object_agg(severity, coalesce(events, 0) ORDER BY place)
      FROM unnest(ARRAY['info', 'warning', 'error', 'critical']) WITH ORDINALITY AS known (severity, place)
      LEFT JOIN by_severity USING (severity)
    ),
    'events_by_type', (SELECT coalesce(json_object_agg(event_type, events ORDER BY events DESC, event_type), '{}') FROM by_type),
    'recent_events', (SELECT count(*) FROM system_events WHERE "timestamp" > now() - interval '24 hours' AND "timestamp" <= now()),
    'last_event_timestamp', (
      SELECT to_char(max(newest) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') FROM by_group
    )
  )::text AS json`;

export const stats = {
  id: 'stats',
  title: 'stats, cache cold',
  async measure(bench) {
    const { url, rows } = await bench.largeTable();
    const app = await bench.app(url, { CACHE: 'off' });
    const client = new HttpClient(app.url);
    const database = new pg.Client({ connectionString: url });
    await database.connect();
    try {
      await requireSameCounts(client, database);
      const values = await takeTurns(bench.options.rounds, {
        'eventdeck, ms': () => medianOf(REQUESTS, async () => (await client.expect(200, 'GET', STATS)).ms),
        'scanning query, ms': () => timed(() => database.query(SCAN_SQL)),
      });
      return [
        compare({
          against: `the query that scans ${rows.toLocaleString('en-US')} events`,
          unit: 'ms',
          ours: values['eventdeck, ms'],
          reference: values['scanning query, ms'],
          atMost: 0.01,
        }),
      ];
    } finally {
      client.close();
      await database.end();
    }
  },
};

/** The median of `count` measurements, one after the other. */
export async function medianOf(count, measure) {
  const values = [];
  for (let done = 0; done < count; done += 1) values.push(await measure());
  return median(values);
}

async function timed(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

// Between two answers, because the service stores events of its own meanwhile. The scan is then warm, too.
async function requireSameCounts(client, database) {
  const read = async () => JSON.parse((await client.expect(200, 'GET', STATS)).body);
  const before = await read();
  const scanned = JSON.parse((await database.query(SCAN_SQL)).rows[0].json);
  const after = await read();
  const isBetween = (count) => count(before) <= count(scanned) && count(scanned) <= count(after);
  const counts = [
    ({ total_events }) => total_events,
    ...Object.keys(scanned.events_by_severity).map((name) => (answer) => answer.events_by_severity[name] ?? 0),
    ...Object.keys(scanned.events_by_type).map((name) => (answer) => answer.events_by_type[name] ?? 0),
  ];
  if (!counts.every(isBetween)) {
    throw new Error(`the statistics are wrong: ${JSON.stringify(after)} instead of ${JSON.stringify(scanned)}`);
  }
}
