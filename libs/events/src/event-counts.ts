import type { EventFilter } from './event-filter';

// Always system_events first, then the deltas, then the rest: TRUNCATE locks these two in this order, and whoever comes
// by another one could deadlock with it.

/** What the counts tell events apart by. */
export type CountedField = 'event_type' | 'severity' | 'source';

/**
 * SQL of rows (event_type, severity, source, events), the deltas that are not folded in yet and the totals; the sum of a
 * group's `events` is how many there are of it.
 */
export function countsBy(fields: Iterable<CountedField>): string {
  return `(SELECT event_type, severity, source, events FROM event_count_deltas UNION ALL ${totalsBy(fields)})`;
}

/**
 * SQL of the same rows, of the totals alone: of the smallest table that tells events apart by `fields`. It always does
 * by severity; a field that is not among `fields` is null or not.
 */
export function totalsBy(fields: Iterable<CountedField>): string {
  const known = new Set(fields);
  if (known.has('event_type') && known.has('source')) {
    return 'SELECT event_type, severity, source, events FROM event_totals';
  }
  const field = known.has('event_type') ? 'event_type' : known.has('source') ? 'source' : 'severity';
  const valueOf = (column: CountedField): string => `${column === field ? 'value' : 'NULL::varchar'} AS ${column}`;
  return `SELECT ${valueOf('event_type')}, severity, ${valueOf('source')}, events
    FROM event_value_totals WHERE field = '${field}' AND severity IS NOT NULL`;
}

/**
 * SQL of rows (value, count): the values of a field with the most events, at most `limit`, over all events or those of
 * one severity. It reads about as many totals as it yields, and those that deltas concern, however many there are.
 *
 * What has no delta has its total as its count. So no value beyond the first `limit` of these is among the best; and
 * they are among the first `limit` plus d by total, where d values have deltas: the deltas can lift or lower only d.
 * Those first ones and the d are counted to the end, the others not at all. (A total is below zero while a deletion is
 * folded in and what it deleted is not: then there is a delta.) That they are ordered by `severity` too, which is the
 * same for all, tells the planner that the index has this very order.
 *
 * @param deltas SQL name of rows (event_type, severity, source, events) of that severity, or of all
 * @param severity SQL of the severity
 */
export function mostFrequent(field: CountedField, limit: string, deltas: string, severity?: string): string {
  const totals = `event_value_totals AS total
    WHERE total.field = '${field}' AND total.severity ${severity === undefined ? 'IS NULL' : `= ${severity}`}`;
  return `
    WITH changed AS MATERIALIZED (
      SELECT ${field} AS value, sum(events) AS events FROM ${deltas} GROUP BY 1 HAVING sum(events) <> 0
    ), candidates AS (
      (SELECT value, events FROM ${totals} AND total.events <> 0
       ORDER BY total.severity, total.events DESC, total.value COLLATE "C"
       LIMIT ${limit} + (SELECT count(*) FROM changed))
      UNION SELECT known.value, known.events
      FROM changed CROSS JOIN LATERAL (SELECT value, events FROM ${totals} AND total.value = changed.value OFFSET 0) AS known
      UNION SELECT value, events FROM ${totals} AND total.value IS NULL
      UNION ALL SELECT value, events FROM changed
    )
    SELECT value, sum(events) AS count FROM candidates GROUP BY value HAVING sum(events) > 0
    ORDER BY ${BY_COUNT} LIMIT ${limit}`;
}

/** How rows (value, count) are ordered: the most frequent first, then by value, no value at the end. */
export const BY_COUNT = 'count DESC, value COLLATE "C"';

/** SQL of rows (minute, severity, events); the sum of a group's `events` is how many there are of it. */
export const COUNTS_BY_MINUTE = `(
  SELECT minute, severity, events FROM event_count_deltas
  UNION ALL SELECT minute, severity, events FROM event_minutes
)`;

const MINUTE_MS = 60_000;

/** Whether `countsBy` tells how many events a filter finds. */
export function isCountedByKey(filter: EventFilter): boolean {
  return hasOnly(filter, ['eventTypes', 'severities', 'sources']);
}

/** Whether `countsByMinute` tells how many events a filter finds. */
export function isCountedByMinute(filter: EventFilter): boolean {
  return hasOnly(filter, ['since', 'until', 'severities']);
}

/**
 * SQL of rows (minute, severity, events) for the events that a filter of `isCountedByMinute` finds, and its parameters.
 *
 * Whole minutes are from the counts. Of a minute that `since` cuts the events behind the cut are counted one by one; one
 * that `until` cuts counts as whole, and those behind the cut are taken away: where it is now, there is hardly any.
 */
export function countsByMinute({ since, until, severities }: EventFilter): [sql: string, parameters: unknown[]] {
  const parameters: unknown[] = [];
  const time = (moment: Date): string => `$${parameters.push(moment.toISOString())}::timestamptz`;
  const ofSeverity = severities ? [`severity = ANY ($${parameters.push(severities)}::text[])`] : [];
  const parts: string[] = [];
  const addCut = (cut: Date | undefined, sign: 1 | -1): void => {
    if (!cut || cut.getTime() % MINUTE_MS === 0) return;
    const from = time(cut);
    const inMinute = [`"timestamp" >= ${from}`, `"timestamp" < ${minuteOf(from)} + interval '1 minute'`];
    parts.push(
      `SELECT ${minuteOf('"timestamp"')} AS minute, severity, ${sign} AS events FROM system_events ${where([...inMinute, ...ofSeverity])}`,
    );
  };
  addCut(since, 1);
  addCut(until, -1);
  const inRange = [...(since ? [`minute >= ${time(since)}`] : []), ...(until ? [`minute < ${time(until)}`] : [])];
  parts.push(
    `SELECT minute, severity, events FROM ${COUNTS_BY_MINUTE} AS counts ${where([...inRange, ...ofSeverity])}`,
  );
  return [parts.join(' UNION ALL '), parameters];
}

function minuteOf(time: string): string {
  return `date_trunc('minute', ${time}, 'UTC')`;
}

function where(conditions: string[]): string {
  return conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
}

function hasOnly(filter: EventFilter, conditions: (keyof EventFilter)[]): boolean {
  return (Object.keys(filter) as (keyof EventFilter)[]).every((condition) => conditions.includes(condition));
}
