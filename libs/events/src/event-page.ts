import type { Repository, SelectQueryBuilder } from 'typeorm';
import { Statement, type Connection } from '@app/platform';
import type { Position } from './event-cursor';
import { isSelective, type EventFilter } from './event-filter';
import { EVENT_JSON } from './event-json';
import { positionBehind, readInOrder, type PageRequest } from './event-order';
import type { SystemEvent } from './event.entity';

/** Characters of a page: one of the largest events would else be gigabytes. A page has one event at least. */
export const MAX_PAGE_CHARACTERS = 16 * 1024 * 1024;

/** Rows of the first statement, so that the default page takes one; further ones are as many as should still fit. */
const FIRST_CHUNK = 101;

/** A page of events. */
export interface EventPage {
  /** A JSON array. */
  json: string;
  /** The last event of the page, when more follow. */
  next: Position | undefined;
}

/** Between two events; JSON text has no line breaks of its own. */
const SEPARATOR = ',\n';

/**
 * Reads a page: `limit` events, or fewer when they end or would be too large.
 *
 * @param offset how many events to pass over, instead of `after`; 0 is none
 * @throws AppError `unavailable`
 */
export async function readPage(
  events: Repository<SystemEvent>,
  connection: Connection,
  filter: EventFilter,
  { limit, sort, after, offset }: PageRequest & { offset: number },
): Promise<EventPage> {
  const query = (): SelectQueryBuilder<SystemEvent> => events.createQueryBuilder('event').select(EVENT_JSON, 'json');
  const start = offset > 0 ? await positionBehind(events, filter, sort, offset) : after;
  if (offset > 0 && !start) return { json: '[]', next: undefined };
  const page: string[] = [];
  let size = 0;
  // One row more than asked for tells whether another page follows.
  for (let wanted = Math.min(limit + 1, FIRST_CHUNK); ; wanted = nextChunk(limit, page.length, size)) {
    const from = positionOf(page.at(-1)) ?? start;
    // Planned once for each connection: it is asked for most, and there is one good plan.
    const isPlain = wanted === FIRST_CHUNK && !isSelective(filter);
    const name = isPlain ? `list-events ${sort}${from ? ' behind' : ''}` : undefined;
    const request = { limit: wanted, sort, after: from };
    const chunk = await readInOrder(query, filter, request, (rows) => readChunk(connection, rows, name));
    for (const json of chunk.events) {
      const isTooLarge = size + json.length > MAX_PAGE_CHARACTERS && page.length > 0;
      if (page.length === limit || isTooLarge) return { json: toArray(page), next: positionOf(page.at(-1)) };
      page.push(json);
      size += json.length;
    }
    if (chunk.found < wanted) return { json: toArray(page), next: undefined };
  }
}

function toArray(events: string[]): string {
  return `[${events.join(',')}]`;
}

function positionOf(json: string | undefined): Position | undefined {
  if (json === undefined) return undefined;
  const { id, timestamp } = JSON.parse(json) as { id: number; timestamp: string };
  return { timestamp: Date.parse(timestamp), id };
}

function nextChunk(limit: number, count: number, size: number): number {
  const fitting = Math.ceil(((MAX_PAGE_CHARACTERS - size) * count) / size);
  return Math.max(1, Math.min(limit + 1 - count, fitting));
}

interface Chunk {
  events: string[];
  found: number;
}

// As one value: node-postgres takes its time for each that it reads. What aggregates take from a sorted subquery comes in
// its order (PostgreSQL manual, section 9.21).
async function readChunk(
  connection: Connection,
  rows: SelectQueryBuilder<SystemEvent>,
  name: string | undefined,
): Promise<Chunk> {
  const [sql, parameters] = rows.getQueryAndParameters();
  const statement = new Statement<{ events: string | null }>(
    name,
    `SELECT string_agg(json, E'${SEPARATOR.replace('\n', '\\n')}') AS events FROM (${sql}) AS chosen`,
  );
  const [row] = await statement.run(connection, parameters);
  const found = row?.events?.split(SEPARATOR) ?? [];
  return { events: found, found: found.length };
}
