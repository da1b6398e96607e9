import type { SelectQueryBuilder } from 'typeorm';
import type { SystemEvent } from './event.entity';
import { EVENT_JSON } from './event-json';

/** Characters of a page: one of the largest events would else be gigabytes. A page has one event at least. */
export const MAX_PAGE_CHARACTERS = 16 * 1024 * 1024;

/** Rows of the first statement, so that the default page takes one; further ones are as many as should still fit. */
const FIRST_CHUNK = 101;

/** A page of events as a JSON array. */
export interface EventPage {
  json: string;
  /** How many events are in it: `limit`, or fewer when it ends or would be too large. */
  count: number;
  /** Whether more events follow. */
  hasNext: boolean;
}

interface Row {
  json: string;
  id: string;
  timestamp: Date;
}

/**
 * Reads a page, the newest event first.
 *
 * @param query a new query over the events of the listing, aliased `event`, at each call
 */
export async function readPage(
  query: () => SelectQueryBuilder<SystemEvent>,
  limit: number,
  offset: number,
): Promise<EventPage> {
  const texts: string[] = [];
  const page = (hasNext: boolean): EventPage => ({ json: `[${texts.join(',')}]`, count: texts.length, hasNext });
  let size = 0;
  let last: Row | undefined;
  // One row more than asked for tells whether another page follows.
  for (let chunk = Math.min(limit + 1, FIRST_CHUNK); ; chunk = nextChunk(limit, texts.length, size)) {
    const rows = await readRows(query(), chunk, last ?? offset);
    for (const row of rows) {
      const isTooLarge = size + row.json.length > MAX_PAGE_CHARACTERS && last !== undefined;
      if (texts.length === limit || isTooLarge) return page(true);
      texts.push(row.json);
      size += row.json.length;
      last = row;
    }
    if (rows.length < chunk) return page(false);
  }
}

function nextChunk(limit: number, count: number, size: number): number {
  const fitting = Math.ceil(((MAX_PAGE_CHARACTERS - size) * count) / size);
  return Math.max(1, Math.min(limit + 1 - count, fitting));
}

function readRows(query: SelectQueryBuilder<SystemEvent>, count: number, from: Row | number): Promise<Row[]> {
  query
    .select(EVENT_JSON, 'json')
    .addSelect('event.id', 'id')
    .addSelect('event.timestamp', 'timestamp')
    .orderBy('event.timestamp', 'DESC')
    .addOrderBy('event.id', 'DESC')
    .limit(count);
  if (typeof from === 'number') query.offset(from);
  else query.andWhere('(event.timestamp, event.id) < (:timestamp, :id)', { timestamp: from.timestamp, id: from.id });
  return query.getRawMany<Row>();
}
