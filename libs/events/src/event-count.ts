import type { ObjectLiteral, Repository, SelectQueryBuilder } from 'typeorm';
import { COUNTS_BY_KEY, countsByMinute, isCountedByKey, isCountedByMinute } from './event-counts';
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
  if (isCountedByKey(filter)) return sum(events, queryCounts(events, filter).select('events').getQueryAndParameters());
  if (isCountedByMinute(filter)) return sum(events, countsByMinute(filter));
  return applyFilter(events.createQueryBuilder('event'), filter).getCount();
}

/** A query over `COUNTS_BY_KEY` for a filter of `isCountedByKey`. */
export function queryCounts(events: Repository<SystemEvent>, filter: EventFilter): SelectQueryBuilder<ObjectLiteral> {
  const query = events.manager.dataSource.createQueryBuilder().from<ObjectLiteral>(COUNTS_BY_KEY, 'event');
  return applyFilter(query, filter);
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
