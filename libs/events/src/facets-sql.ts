import type { Repository } from 'typeorm';
import { fieldsOf, filtered } from './event-count';
import { BY_COUNT, isCountedByKey, mostFrequent, totalsBy, type CountedField } from './event-counts';
import { applyFilter, type EventFilter } from './event-filter';
import type { SystemEvent } from './event.entity';

const KEY = 'event_type, severity, source';

/**
 * SQL that yields the facets of the events that a filter finds as JSON text, all from one snapshot, and its parameters,
 * the number of values to `top` the last one.
 *
 * What it costs: without a filter, or with one severity alone, it reads no more counts than it shows and than were
 * changed a moment ago, however many values there are; with sources those of these sources. With types or with several
 * severities it reads all counts of these, one for each type, severity and source that occur together, and takes a second
 * for a million. Any other filter reads the events.
 */
export function facetsSql(
  events: Repository<SystemEvent>,
  filter: EventFilter,
  top: number,
): [sql: string, parameters: unknown[]] {
  if (isCountedByKey(filter)) return ofCounts(events, filter, top);
  const query = applyFilter(events.createQueryBuilder('event'), filter).select(`${KEY}, 1 AS events`);
  const [rows, parameters]: [string, unknown[]] = query.getQueryAndParameters();
  const facet = (field: CountedField): string => mostFrequentOf(`SELECT ${field} AS value, events FROM counted`, limit);
  const limit = `$${parameters.length + 1}`;
  return [facetsOf('counted', rows, 'SELECT events FROM counted', facet), [...parameters, top]];
}

function ofCounts(
  events: Repository<SystemEvent>,
  filter: EventFilter,
  top: number,
): [sql: string, parameters: unknown[]] {
  const [rows, parameters] = filtered(events, 'event_count_deltas', filter, `${KEY}, events`);
  const limit = `$${parameters.length + 1}`;
  const fields = fieldsOf(filter);
  const counts = (of: CountedField[], columns: string): string => {
    const [totals] = filtered(events, `(${totalsBy(of)})`, filter, columns);
    return `SELECT ${columns} FROM deltas UNION ALL ${totals}`;
  };
  const isRanked = fields.length === 0 && (filter.severities?.length ?? 1) === 1;
  const facet = (field: CountedField): string =>
    isRanked
      ? mostFrequent(field, limit, 'deltas', filter.severities && '$1')
      : mostFrequentOf(counts([...fields, field], `${field} AS value, events`), limit);
  return [facetsOf('deltas', rows, counts(fields, 'events'), facet), [...parameters, top]];
}

/** `counted` rows are grouped once, before each facet groups them by its own field. */
function facetsOf(counted: string, rows: string, total: string, facet: (field: CountedField) => string): string {
  const list = (field: CountedField): string => `'${field}', (
    SELECT coalesce(json_agg(json_build_object('value', value, 'count', count) ORDER BY ${BY_COUNT}), '[]')
    FROM (${facet(field)}) AS best
  )`;
  return `
    WITH ${counted} AS MATERIALIZED (
      SELECT ${KEY}, sum(events) AS events FROM (${rows}) AS rows GROUP BY ${KEY} HAVING sum(events) <> 0
    )
    SELECT json_build_object(
      'total', (SELECT coalesce(sum(events), 0) FROM (${total}) AS counts),
      ${list('severity')}, ${list('event_type')}, ${list('source')}
    )::text AS json`;
}

/** SQL of the values with the most events among rows (value, events), all of which it reads. */
function mostFrequentOf(rows: string, limit: string): string {
  return `SELECT value, sum(events) AS count FROM (${rows}) AS counts GROUP BY value HAVING sum(events) <> 0
    ORDER BY ${BY_COUNT} LIMIT ${limit}`;
}
