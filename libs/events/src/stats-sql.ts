/** Types that the statistics name, the most frequent first. */
const MAX_TYPES = 100;

/** SQL that yields the statistics over all events as JSON text, all counts from one snapshot. */
export const STATS_SQL = `
  WITH by_group AS (
    SELECT event_type, severity, count(*) AS events, max("timestamp") AS newest
    FROM system_events GROUP BY event_type, severity
  ), by_type AS (
    SELECT event_type, sum(events) AS events FROM by_group
    GROUP BY event_type ORDER BY events DESC, event_type LIMIT ${MAX_TYPES}
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
