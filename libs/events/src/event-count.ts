import type { ObjectLiteral, Repository } from 'typeorm';
import { countsBy, countsByMinute, isCountedByKey, isCountedByMinute, type CountedField } from './event-counts';
import { applyFilter, type EventFilter } from './event-filter';
import type { SystemEvent } from './event.entity';

/**
 * How many events a filter finds; `estimated` is what the planner expects of its statistics, without reading a row. An
 * exact count comes from the counts that are kept wherever these tell it; else it reads all that the filter finds.
 *
 * @throws AppError `unavailable`, also when an exact count takes longer than a statement may
 */
export function countEvents(
  events: Repository<SystemEvent>,
  filter: EventFilter,
  how: 'exact' | 'estimated',
): Promise<number> {
  if (how === 'estimated') return estimate(events, filter);
  if (isCountedByKey(filter)) return sum(events, filtered(events, countsBy(fieldsOf(filter)), filter, 'events'));
  if (isCountedByMinute(filter)) return sum(events, countsByMinute(filter));
  return applyFilter(events.createQueryBuilder('event'), filter).getCount();
}

/** SQL of `columns` of those of `rows` that a filter finds, and its parameters: the same ones whatever the rows. */
export function filtered(
  events: Repository<SystemEvent>,
  rows: string,
  filter: EventFilter,
  columns: string,
): [sql: string, parameters: unknown[]] {
  const query = events.manager.dataSource.createQueryBuilder().from<ObjectLiteral>(rows, 'event').select(columns);
  return applyFilter(query, filter).getQueryAndParameters();
}

/** What counts must tell events apart by, for a filter of `isCountedByKey`. */
export function fieldsOf({ eventTypes, sources }: EventFilter): CountedField[] {
  return [...(eventTypes ? ['event_type' as const] : []), ...(sources ? ['source' as const] : [])];
}

async function sum(events: Repository<SystemEvent>, [sql, parameters]: [string, unknown[]]): Promise<number> {
  const [row] = await events.query<{ events: string }[]>(
    `SELECT coalesce(sum(events), 0) AS events FROM (${sql}) AS counts`,
    parameters,
  );
  return Number(row?.events);
}

async function estimate(events: Repository<SystemEvent>, filter: EventFilter): Promise<number> {
  const query = applyFilter(events.createQueryBuilder('event'), filter);
  const [sql, parameters] = query.select('event.id').getQueryAndParameters();
  const [row] = await events.query<[{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }]>(
    `EXPLAIN (FORMAT JSON) ${sql}`,
    parameters,
  );
  return row['QUERY PLAN'][0].Plan['Plan Rows'];
}
