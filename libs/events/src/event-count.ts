import type { Repository } from 'typeorm';
import { applyFilter, type EventFilter } from './event-filter';
import type { SystemEvent } from './event.entity';

/**
 * How many events a filter finds; `estimated` is what the planner expects of its statistics, without reading a row.
 *
 * @throws AppError `unavailable`, also when an exact count takes longer than a statement may
 */
export async function countEvents(
  events: Repository<SystemEvent>,
  filter: EventFilter,
  how: 'exact' | 'estimated',
): Promise<number> {
  const query = applyFilter(events.createQueryBuilder('event'), filter);
  if (how === 'exact') return query.getCount();
  const [sql, parameters] = query.select('event.id').getQueryAndParameters();
  const [row] = await events.query<[{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }]>(
    `EXPLAIN (FORMAT JSON) ${sql}`,
    parameters,
  );
  return row['QUERY PLAN'][0].Plan['Plan Rows'];
}
