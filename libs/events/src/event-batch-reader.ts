import {
  AppError,
  checkTree,
  costOfValues,
  decodeUtf8,
  invalid,
  parseJson,
  toBody,
  type BufferedContent,
} from '@app/platform';
import { MAX_BATCH_EVENTS } from './event-batch.dto';
import { MAX_EVENT_BYTES } from './event-import-framing';
import { requireObject } from './event-rules';
import { CreateEventDto } from './events.dto';

/** An event of a batch that passed the rules, or why it did not. */
export type BatchItem = CreateEventDto | AppError;

/** How errors call a part of the batch. */
const EVENT = 'The event';

/** Bytes of a JSON array that is parsed in one go, which takes a third of the time; more would be too much at once. */
const SMALL_ARRAY_BYTES = 256 * 1024;

/** Bytes of a JSON array whose values are not counted, as most are: of those in their turn each takes a MiB at most. */
const UNCOUNTED_BYTES = 32 * 1024;

const BYTE_ORDER_MARK = Buffer.from('\ufeff');
const NEWLINE = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/**
 * The events of a JSON array, or of newline-delimited JSON, whose blank lines count for nothing; each is read and judged
 * when it is asked for, so that the values of one are all that there is. A small array is parsed at once.
 *
 * @throws AppError `malformed` for an array that cannot be read, which may show at its end, `invalid` for JSON that is
 *   none, `payload_too_large` for too many events; an event of more than 1 MiB alone is refused
 */
export function readBatch({ type, bytes }: BufferedContent): Iterable<BatchItem> {
  if (type === 'application/x-ndjson') return readLines(bytes);
  return bytes.length > SMALL_ARRAY_BYTES ? readLargeArray(bytes) : readSmallArray(bytes);
}

/** Bytes that a batch takes while it is read. */
export function sizeOfBatch({ type, bytes }: BufferedContent): number {
  const isParsedWhole = type !== 'application/x-ndjson' && bytes.length <= SMALL_ARRAY_BYTES;
  return bytes.length + (isParsedWhole && bytes.length > UNCOUNTED_BYTES ? costOfValues(bytes) : 0);
}

function* readSmallArray(bytes: Buffer): Iterable<BatchItem> {
  const events = parseJson(decodeUtf8(bytes));
  if (!Array.isArray(events)) throw noArray();
  limitCount(events.length);
  for (const event of events) yield judge(event);
}

function* readLargeArray(bytes: Buffer): Iterable<BatchItem> {
  let at = skipBlank(
    bytes,
    bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0,
  );
  if (bytes[at] !== OPENING_BRACKET) throw noArray();
  at = skipBlank(bytes, at + 1);
  // An array of no event ends where the first one would.
  let end = bytes[at] === CLOSING_BRACKET ? at : undefined;
  for (let count = 1; end === undefined; count++) {
    limitCount(count);
    const next = endOfElement(bytes, at);
    yield judgeElement(bytes.subarray(at, next));
    if (bytes[next] === COMMA) at = skipBlank(bytes, next + 1);
    else if (bytes[next] === CLOSING_BRACKET) end = next;
    else throw notJson();
  }
  if (skipBlank(bytes, end + 1) < bytes.length) throw notJson();
}

// What is no JSON is so for the whole array, as it is when that is parsed at once; but not what is too long to be looked
// at.
function judgeElement(bytes: Buffer): BatchItem {
  if (bytes.length > MAX_EVENT_BYTES) return tooLarge();
  // A byte order mark, which a decoder would leave out, stands only in front of all.
  if (bytes.length === 0 || bytes[0] === BYTE_ORDER_MARK[0]) throw notJson();
  return judge(parseJson(decodeUtf8(bytes)));
}

/** Where the comma or the bracket stands that ends the element, or what cannot be; the end of the bytes without one. */
function endOfElement(bytes: Buffer, start: number): number {
  let depth = 0;
  for (let at = start; at < bytes.length; at++) {
    switch (bytes[at]) {
      case QUOTE:
        at = endOfText(bytes, at);
        break;
      case OPENING_BRACKET:
      case OPENING_BRACE:
        depth++;
        break;
      case CLOSING_BRACKET:
      case CLOSING_BRACE:
        if (depth === 0) return at;
        depth--;
        break;
      case COMMA:
        if (depth === 0) return at;
        break;
      default:
    }
  }
  return bytes.length;
}

function endOfText(bytes: Buffer, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}

function* readLines(bytes: Buffer): Iterable<BatchItem> {
  let count = 0;
  for (let start = skipBlank(bytes, 0); start < bytes.length;) {
    limitCount(++count);
    const next = bytes.indexOf(NEWLINE, start);
    const end = next === -1 ? bytes.length : next;
    yield judgeLine(bytes.subarray(start, end));
    start = skipBlank(bytes, end);
  }
}

function judgeLine(line: Buffer): BatchItem {
  if (line.length > MAX_EVENT_BYTES) return tooLarge();
  return orRefusal(() => judge(parseJson(decodeUtf8(line, EVENT), EVENT)));
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

function tooLarge(): AppError {
  return new AppError('payload_too_large', `${EVENT} is larger than ${MAX_EVENT_BYTES / 1024 ** 2} MiB.`);
}

function noArray(): AppError {
  return invalid([{ detail: 'the body must be a JSON array of events', pointer: '#' }]);
}

function notJson(): AppError {
  return new AppError('malformed', 'The request body is not valid JSON.');
}

// JSON's own white space (RFC 8259, section 2), blank lines in one go: a body may hold millions.
function skipBlank(bytes: Buffer, start: number): number {
  let end = start;
  while (bytes[end] === NEWLINE || bytes[end] === 0x20 || bytes[end] === 0x09 || bytes[end] === 0x0d) end++;
  return end;
}
