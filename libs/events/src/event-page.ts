import type { SelectQueryBuilder } from 'typeorm';
import type { Position, Sort } from './event-cursor';
import { EVENT_JSON } from './event-json';
import type { SystemEvent } from './event.entity';

/** Characters of a page: one of the largest events would else be gigabytes. A page has one event at least. */
export const MAX_PAGE_CHARACTERS = 16 * 1024 * 1024;

/** Rows of the first statement, so that the default page takes one; further ones are as many as should still fit. */
const FIRST_CHUNK = 101;

/** Which part of a listing is asked for. */
export interface PageRequest {
  limit: number;
  sort: Sort;
  /** Behind this event, or behind so many events. */
  after: Position | number;
}

/** A page of events. */
export interface EventPage {
  /** Each event as JSON text. */
  events: string[];
  /** The last event of the page, when more follow. */
  next: Position | undefined;
}

interface Row {
  json: string;
  id: string;
  milliseconds: number;
}

/**
 * Reads a page: `limit` events, or fewer when they end or would be too large.
 *
 * @param query a new query over the events of the listing, aliased `event`, at each call
 */
export async function readPage(
  query: () => SelectQueryBuilder<SystemEvent>,
  { limit, sort, after }: PageRequest,
): Promise<EventPage> {
  const events: string[] = [];
  let size = 0;
  let last: Position | undefined;
  // One row more than asked for tells whether another page follows.
  for (let chunk = Math.min(limit + 1, FIRST_CHUNK); ; chunk = nextChunk(limit, events.length, size)) {
    const rows = await readRows(query(), { limit: chunk, sort, after: last ?? after });
    for (const { json, id, milliseconds } of rows) {
      const isTooLarge = size + json.length > MAX_PAGE_CHARACTERS && last !== undefined;
      if (events.length === limit || isTooLarge) return { events, next: last };
      events.push(json);
      size += json.length;
      last = { timestamp: milliseconds, id: Number(id) };
    }
    if (rows.length < chunk) return { events, next: undefined };
  }
}

function nextChunk(limit: number, count: number, size: number): number {
  const fitting = Math.ceil(((MAX_PAGE_CHARACTERS - size) * count) / size);
  return Math.max(1, Math.min(limit + 1 - count, fitting));
}

function readRows(query: SelectQueryBuilder<SystemEvent>, { limit, sort, after }: PageRequest): Promise<Row[]> {
  const direction = sort === 'timestamp' ? 'ASC' : 'DESC';
  query
    .select(EVENT_JSON, 'json')
    .addSelect('event.id', 'id')
    .addSelect('(extract(epoch FROM event.timestamp) * 1000)::float8', 'milliseconds')
    .orderBy('event.timestamp', direction)
    .addOrderBy('event.id', direction)
    .limit(limit);
  if (typeof after === 'number') query.offset(after);
  else {
    query.andWhere(`(event.timestamp, event.id) ${sort === 'timestamp' ? '>' : '<'} (:behindTime, :behindId)`, {
      behindTime: new Date(after.timestamp).toISOString(),
      behindId: after.id,
    });
  }
  return query.getRawMany<Row>();
}
