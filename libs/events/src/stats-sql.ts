import { COUNTS_BY_MINUTE, mostFrequent, totalsBy } from './event-counts';

/** Types that the statistics name, the most frequent first. */
const MAX_TYPES = 100;

/**
 * SQL that yields the statistics over all events as JSON text, all counts from one snapshot.
 *
 * The recent events are those of whole minutes, from the counts, and of the minute in which the 24 hours begin what
 * lies behind that moment; of the current minute what lies ahead is taken away, as there is hardly anything.
 */
export const STATS_SQL = `
  WITH ends AS (
    SELECT now() - interval '24 hours' AS since, now() AS until,
      date_trunc('minute', now() - interval '24 hours', 'UTC') AS first_minute, date_trunc('minute', now(), 'UTC') AS last_minute
  ), edges AS (
    SELECT
      (SELECT max("timestamp") FROM system_events) AS newest,
      (SELECT count(*) FROM system_events WHERE "timestamp" > since AND "timestamp" < first_minute + interval '1 minute')
      - (SELECT count(*) FROM system_events WHERE "timestamp" > until AND "timestamp" < last_minute + interval '1 minute')
      AS events
    FROM ends
  ), deltas AS MATERIALIZED (
    SELECT event_type, severity, sum(events) AS events FROM event_count_deltas GROUP BY event_type, severity
  ), by_type AS (
    SELECT value AS event_type, count AS events FROM (${mostFrequent('event_type', String(MAX_TYPES), 'deltas')}) AS best
  ), by_severity AS (
    SELECT severity, sum(events) AS events FROM (
      SELECT severity, events FROM deltas UNION ALL SELECT severity, events FROM (${totalsBy([])}) AS totals
    ) AS counts GROUP BY severity
  ), minutes AS (
    SELECT coalesce(sum(events), 0) AS events FROM ${COUNTS_BY_MINUTE} AS counts, ends
    WHERE minute > first_minute AND minute <= last_minute
  )
  SELECT json_build_object(
    'total_events', (SELECT coalesce(sum(events), 0) FROM by_severity),
    'events_by_severity', (
      SELECT json_object_agg(severity, coalesce(events, 0) ORDER BY place)
      FROM unnest(ARRAY['info', 'warning', 'error', 'critical']) WITH ORDINALITY AS known (severity, place)
      LEFT JOIN by_severity USING (severity)
    ),
    'events_by_type', (SELECT coalesce(json_object_agg(event_type, events ORDER BY events DESC, event_type COLLATE "C"), '{}') FROM by_type),
    'recent_events', (SELECT edges.events + minutes.events FROM edges, minutes),
    'last_event_timestamp', (
      SELECT to_char(newest AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') FROM edges
    )
  )::text AS json`;
