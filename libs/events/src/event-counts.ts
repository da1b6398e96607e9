import type { EventFilter } from './event-filter';

// Always system_events first, then the deltas, then the rest: the order in which TRUNCATE locks them. Another one could
// deadlock with it.

/** SQL of rows (event_type, severity, source, events); the sum of a group's `events` is how many there are of it. */
export const COUNTS_BY_KEY = `(
  SELECT event_type, severity, source, events FROM event_count_deltas
  UNION ALL SELECT event_type, severity, source, events FROM event_totals
)`;

/** SQL of rows (minute, severity, events); the sum of a group's `events` is how many there are of it. */
export const COUNTS_BY_MINUTE = `(
  SELECT minute, severity, events FROM event_count_deltas
  UNION ALL SELECT minute, severity, events FROM event_minutes
)`;

const MINUTE_MS = 60_000;

/** Whether `COUNTS_BY_KEY` tells how many events a filter finds. */
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
