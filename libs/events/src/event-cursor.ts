import { isWritable } from './timestamp';

/** In which order a listing goes: by time, and events of one time by id, both the same way. */
export const SORTS = ['-timestamp', 'timestamp'] as const;
export type Sort = (typeof SORTS)[number];

/** Where a listing goes on: behind this event. */
export interface Position {
  /** Milliseconds since 1970, as exact as the column. */
  timestamp: number;
  id: number;
}

/** What a cursor carries: the place, the order, and for which filters it was made. */
export interface Cursor {
  sort: Sort;
  fingerprint: string;
  position: Position;
}

/** An opaque text for a URL. */
export function encodeCursor({ sort, fingerprint, position }: Cursor): string {
  return Buffer.from(JSON.stringify([sort, fingerprint, position.timestamp, position.id])).toString('base64url');
}

/** The cursor that `encodeCursor` wrote; `undefined` for any other text. */
export function decodeCursor(text: string): Cursor | undefined {
  try {
    const parts = JSON.parse(Buffer.from(text, 'base64url').toString()) as [Sort, string, number, number];
    const [sort, fingerprint, timestamp, id] = parts;
    const cursor = { sort, fingerprint, position: { timestamp, id } };
    const isPlace = Number.isSafeInteger(id) && Number.isSafeInteger(timestamp) && isWritable(timestamp);
    return isPlace && SORTS.includes(sort) && encodeCursor(cursor) === text ? cursor : undefined;
  } catch {
    return undefined;
  }
}

/** What is wrong with a cursor in a query, or `undefined`. */
export function checkCursor(text: string): string | undefined {
  return decodeCursor(text) ? undefined : 'must be one that the Link header of a page gave';
}
