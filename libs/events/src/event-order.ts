import type { ObjectLiteral, Repository, SelectQueryBuilder } from 'typeorm';
import type { Position, Sort } from './event-cursor';
import { applyFilter, looksInside, outside, type EventFilter } from './event-filter';
import { SystemEvent } from './event.entity';

/** Which part of a listing is asked for. */
export interface PageRequest {
  limit: number;
  sort: Sort;
  /** Behind this event, or from the first. */
  after: Position | undefined;
}

/** SQL that yields the time of a `Position`. */
export const MILLISECONDS = '(extract(epoch FROM event.timestamp) * 1000)::float8';

/** How many events are read in the order of time for each that is wanted, before the others are found by an index. */
const REACH = 100;

/**
 * The events of a filter, in order.
 *
 * Where the filter looks inside messages or details, PostgreSQL has two ways: to read events in the order of time until
 * enough match, or to find all that match by the index of their words or details and sort them. Either is a thousand
 * times slower than the other where it is the wrong one, and PostgreSQL would guess: it takes words that are frequent
 * each to be independent, and has no statistics of large details. So the first way is gone within reach, and only when
 * that was too short the second.
 *
 * @param query a new query at each call, aliased `event`, with its selection and without the filter
 * @param read runs it, and tells how many events it found
 * @throws AppError `unavailable`
 */
export async function readInOrder<Result extends { found: number }>(
  query: () => SelectQueryBuilder<SystemEvent>,
  filter: EventFilter,
  request: PageRequest,
  read: (query: SelectQueryBuilder<SystemEvent>) => Promise<Result>,
): Promise<Result> {
  const all = applyFilter(ordered(query(), request), filter);
  if (!looksInside(filter)) return read(all);
  const near = await read(withinReach(ordered(query(), request), filter, request));
  return near.found === request.limit ? near : read(sorted(all, request.sort));
}

/**
 * Where a listing goes on behind its first `offset` events; `undefined` where there are none. By itself, because what is
 * read of the events of a page would be read of all that are passed over as well.
 *
 * @throws AppError `unavailable`
 */
export async function positionBehind(
  events: Repository<SystemEvent>,
  filter: EventFilter,
  sort: Sort,
  offset: number,
): Promise<Position | undefined> {
  const query = applyFilter(events.createQueryBuilder('event'), filter)
    .select('event.id', 'id')
    .addSelect(MILLISECONDS, 'milliseconds')
    .offset(offset - 1)
    .limit(1);
  const row = await goOn(query, sort).getRawOne<{ id: string; milliseconds: number }>();
  return row && { timestamp: row.milliseconds, id: Number(row.id) };
}

/** Puts the events of a query, aliased `event`, in order, and passes over those up to a position. */
export function goOn<Entity extends ObjectLiteral>(
  query: SelectQueryBuilder<Entity>,
  sort: Sort,
  after?: Position,
): SelectQueryBuilder<Entity> {
  return behind(query, 'event', sort, after);
}

function ordered(
  query: SelectQueryBuilder<SystemEvent>,
  { limit, sort, after }: PageRequest,
): SelectQueryBuilder<SystemEvent> {
  return goOn(query.limit(limit), sort, after);
}

function behind<Entity extends ObjectLiteral>(
  query: SelectQueryBuilder<Entity>,
  alias: string,
  sort: Sort,
  after?: Position,
): SelectQueryBuilder<Entity> {
  const [direction, operator] = sort === 'timestamp' ? (['ASC', '>'] as const) : (['DESC', '<'] as const);
  query.orderBy(`${alias}.timestamp`, direction).addOrderBy(`${alias}.id`, direction);
  if (!after) return query;
  return query.andWhere(`(${alias}.timestamp, ${alias}.id) ${operator} (:behindTime, :behindId)`, {
    behindTime: new Date(after.timestamp).toISOString(),
    behindId: after.id,
  });
}

// All events at the time where the reach ends are within it: else some of them would stand behind a gap.
function withinReach(
  query: SelectQueryBuilder<SystemEvent>,
  filter: EventFilter,
  { limit, sort, after }: PageRequest,
): SelectQueryBuilder<SystemEvent> {
  const reach = query.subQuery().select('reach.timestamp').from(SystemEvent, 'reach');
  applyFilter(reach, outside(filter));
  behind(reach, 'reach', sort, after);
  reach.offset(limit * REACH).limit(1);
  const end = reach.getQuery();
  // With both ends, PostgreSQL expects few events between them; with one, a third of all.
  const range =
    sort === 'timestamp'
      ? `'-infinity' AND coalesce(${end}, 'infinity')`
      : `coalesce(${end}, '-infinity') AND 'infinity'`;
  return applyFilter(query, filter, 'without index')
    .andWhere(`event.timestamp BETWEEN ${range}`)
    .setParameters(reach.getParameters());
}

// No index has this order, so that PostgreSQL does not think of reading in the order of time until enough match.
function sorted(query: SelectQueryBuilder<SystemEvent>, sort: Sort): SelectQueryBuilder<SystemEvent> {
  const direction = sort === 'timestamp' ? 'ASC' : 'DESC';
  return query
    .addSelect(`event.timestamp + interval '0'`, 'moment')
    .orderBy('moment', direction)
    .addOrderBy('event.id', direction);
}
