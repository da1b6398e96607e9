import { AppError, checkTree, decodeUtf8, invalid, parseJson, toBody, type BufferedContent } from '@app/platform';
import { MAX_BATCH_EVENTS } from './event-batch.dto';
import { requireObject } from './event-rules';
import { CreateEventDto } from './events.dto';

/** An event of a batch that passed the rules, or why it did not. */
export type BatchItem = CreateEventDto | AppError;

const EVENT = 'The event';
const NEWLINE = 0x0a;

/**
 * The events of a JSON array, or of newline-delimited JSON, whose blank lines count for nothing; each is judged when it
 * is asked for.
 *
 * @throws AppError `malformed` for an array that cannot be read, `invalid` for JSON that is none,
 *   `payload_too_large` for too many events
 */
export function readBatch({ type, bytes }: BufferedContent): Iterable<BatchItem> {
  return type === 'application/x-ndjson' ? readLines(bytes) : readArray(bytes);
}

function readArray(bytes: Buffer): Iterable<BatchItem> {
  const events = parseJson(decodeUtf8(bytes));
  if (!Array.isArray(events)) throw invalid([{ detail: 'the body must be a JSON array of events', pointer: '#' }]);
  limitCount(events.length);
  return mapEach(events, (event: unknown) => judge(event));
}

function readLines(bytes: Buffer): Iterable<BatchItem> {
  const lines: Buffer[] = [];
  for (let start = skipBlank(bytes, 0); start < bytes.length;) {
    const next = bytes.indexOf(NEWLINE, start);
    const end = next === -1 ? bytes.length : next;
    lines.push(bytes.subarray(start, end));
    limitCount(lines.length);
    start = skipBlank(bytes, end);
  }
  return mapEach(lines, (line) => orRefusal(() => judge(parseJson(decodeUtf8(line, EVENT), EVENT))));
}

function* mapEach<T>(items: readonly T[], map: (item: T) => BatchItem): Iterable<BatchItem> {
  for (const item of items) yield map(item);
}

/** What became of one event of many: the event, or why it is refused. */
function judge(event: unknown): BatchItem {
  return orRefusal(() => {
    checkTree(event, EVENT);
    return toBody(CreateEventDto, requireObject(event));
  });
}

function orRefusal(read: () => BatchItem): BatchItem {
  try {
    return read();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

function limitCount(count: number): void {
  if (count > MAX_BATCH_EVENTS) {
    throw new AppError('payload_too_large', `A batch may have at most ${MAX_BATCH_EVENTS} events.`);
  }
}

// JSON's own white space (RFC 8259, section 2), blank lines in one go: a body may hold millions.
function skipBlank(bytes: Buffer, start: number): number {
  let end = start;
  while (bytes[end] === NEWLINE || bytes[end] === 0x20 || bytes[end] === 0x09 || bytes[end] === 0x0d) end++;
  return end;
}
