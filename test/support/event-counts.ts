import { until } from './services';
import type { TestApp } from './test-app';

/** Groups whose count is not what a scan finds; one statement, so one snapshot. It locks in the order of TRUNCATE. */
export const WRONG_COUNTS = `
  WITH by_key AS (
    SELECT event_type, severity, source, sum(events) AS events FROM (
      SELECT event_type, severity, source, -1 AS events FROM system_events
      UNION ALL SELECT event_type, severity, source, events FROM event_count_deltas
      UNION ALL SELECT event_type, severity, source, events FROM event_totals
    ) AS all_of_them GROUP BY 1, 2, 3
  ), by_value AS (
    SELECT field, value, total.severity, sum(events) AS events FROM (
      SELECT event_type, severity, source, -1 AS events FROM system_events
      UNION ALL SELECT event_type, severity, source, events FROM event_count_deltas
    ) AS all_of_them,
      LATERAL (VALUES ('event_type', event_type), ('severity', all_of_them.severity), ('source', source)) AS named (field, value),
      LATERAL (VALUES (all_of_them.severity), (NULL)) AS total (severity)
    GROUP BY 1, 2, 3
    UNION ALL SELECT field, value, severity, events FROM event_value_totals
  ), by_minute AS (
    SELECT minute, severity, sum(events) AS events FROM (
      SELECT date_trunc('minute', "timestamp", 'UTC') AS minute, severity, -1 AS events FROM system_events
      UNION ALL SELECT minute, severity, events FROM event_count_deltas
      UNION ALL SELECT minute, severity, events FROM event_minutes
    ) AS all_of_them GROUP BY 1, 2
  )
  SELECT event_type, severity, source, NULL AS minute, events FROM by_key WHERE events <> 0
  UNION ALL SELECT NULL, severity, NULL, minute, events FROM by_minute WHERE events <> 0
  UNION ALL SELECT field, severity, value, NULL, sum(events) FROM by_value GROUP BY field, severity, value HAVING sum(events) <> 0`;

/** SQL that stores `count` events of many types, severities, sources and minutes, the ones behind `offset` others. */
export const insert = (count: number, offset = 0): string => `
  INSERT INTO system_events (event_type, severity, message, source, "timestamp")
  SELECT 'type-' || i % 3, (ARRAY['info', 'warning', 'error', 'critical'])[1 + i % 4], 'x', nullif('source-' || i % 5, 'source-0'),
    timestamptz '2026-01-31T09:59:30Z' + i * interval '7.001 seconds'
  FROM generate_series(${offset + 1}, ${offset + count}) AS i`;

/** Resolves once the service has folded all deltas in. */
export async function areFolded(api: TestApp): Promise<void> {
  await until(
    async () => (await api.sql('SELECT FROM event_count_deltas LIMIT 1')).length === 0,
    'the deltas are folded in',
  );
}
