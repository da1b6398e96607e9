import { AppError, GrowingBuffer } from '@app/platform';

/** Bytes of one event in a file at most, as for a POST of one; what is longer is passed over and never kept. */
export const MAX_EVENT_BYTES = 1024 * 1024;

/** The bytes of one event in a file. */
export interface Piece {
  /** The line on which it starts, from 1. */
  line: number;
  /** `undefined` when it is too long. */
  bytes: Buffer | undefined;
}

const NOTHING = Buffer.alloc(0);

/** Cuts a file, as it arrives, into pieces that are an event each. */
export abstract class Framing {
  /** The line that is being read, from 1. */
  protected line = 1;
  private startLine = 1;
  /** What came of the next piece; nothing, where that is too long already. */
  private readonly kept = new GrowingBuffer(MAX_EVENT_BYTES);
  private size = 0;

  /** The pieces that end in `chunk`. @throws AppError `malformed` where the next one cannot be found */
  abstract push(chunk: Buffer): Iterable<Piece>;

  /** The last piece, if the end of the file is its end. @throws AppError `malformed` where the file is cut off */
  abstract end(): Iterable<Piece>;

  protected begin(): void {
    this.startLine = this.line;
  }

  protected add(part: Buffer): void {
    this.size += part.length;
    if (this.size <= MAX_EVENT_BYTES) this.kept.append(part);
    else this.kept.clear();
  }

  /** The piece of which `last` is the end, and which may share its memory. */
  protected take(last: Buffer): Piece {
    const size = this.size + last.length;
    let bytes = last;
    if (this.size > 0) {
      this.add(last);
      bytes = this.kept.take();
    }
    this.size = 0;
    return { line: this.startLine, bytes: size <= MAX_EVENT_BYTES ? bytes : undefined };
  }

  protected broken(problem: string): AppError {
    return new AppError('malformed', `The file is broken: ${problem} in line ${this.line}.`);
  }
}

// As bytes: in UTF-8 no byte of any other character has these values.
const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPENING = [0x5b, 0x7b];
const CLOSING = [0x5d, 0x7d];
const [OPENING_BRACKET] = OPENING;
const [CLOSING_BRACKET] = CLOSING;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** NDJSON: a piece a line, without its line break; blank lines are none. */
export class LineFraming extends Framing {
  *push(chunk: Buffer): Iterable<Piece> {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      const piece = this.takeLine(chunk.subarray(start, end));
      if (piece) yield piece;
      start = end + 1;
    }
    this.add(chunk.subarray(start));
  }

  end(): Piece[] {
    const piece = this.takeLine(NOTHING);
    return piece ? [piece] : [];
  }

  private takeLine(last: Buffer): Piece | undefined {
    this.begin();
    this.line++;
    const piece = this.take(last);
    return piece.bytes?.every(isBlank) ? undefined : piece;
  }
}

/** A JSON array (RFC 8259): a piece an element. Of an element only its quotes and brackets are looked at. */
export class ArrayFraming extends Framing {
  private place: 'start' | 'first' | 'next' | 'element' | 'end' = 'start';
  private depth = 0;
  private isText = false;
  private isEscaped = false;

  *push(chunk: Buffer): Iterable<Piece> {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (byte === LINE_FEED) this.line++;
      if (this.place !== 'element') {
        if (!this.findElement(byte)) continue;
        start = at;
      }
      if (this.continues(byte)) continue;
      yield this.take(chunk.subarray(start, at));
      this.place = byte === COMMA ? 'next' : 'end';
    }
    if (this.place === 'element') this.add(chunk.subarray(start));
  }

  end(): Piece[] {
    if (this.place !== 'end') throw this.broken('the array has no end');
    return [];
  }

  // Whether an element starts with this byte.
  private findElement(byte: number): boolean {
    if (isBlank(byte)) return false;
    switch (this.place) {
      case 'start':
        if (BYTE_ORDER_MARK.includes(byte)) return false;
        if (byte !== OPENING_BRACKET) throw this.broken('there is no JSON array');
        this.place = 'first';
        return false;
      case 'end':
        throw this.broken('something follows the array');
      default:
        if (byte === CLOSING_BRACKET && this.place === 'first') {
          this.place = 'end';
          return false;
        }
        if (byte === CLOSING_BRACKET || byte === COMMA) throw this.broken('an element of the array is missing');
        this.place = 'element';
        this.begin();
        return true;
    }
  }

  // Whether the element goes on with this byte.
  private continues(byte: number): boolean {
    if (this.isText) {
      if (this.isEscaped) this.isEscaped = false;
      else if (byte === BACKSLASH) this.isEscaped = true;
      else if (byte === QUOTE) this.isText = false;
    } else if (byte === QUOTE) this.isText = true;
    else if (OPENING.includes(byte)) this.depth++;
    else if (this.depth > 0) this.depth -= CLOSING.includes(byte) ? 1 : 0;
    else return byte !== COMMA && byte !== CLOSING_BRACKET;
    return true;
  }
}

/** CSV (RFC 4180): a piece a record, without its line break; blank lines are none. */
export class RecordFraming extends Framing {
  private place: 'cell' | 'plain' | 'quoted' | 'quote' = 'cell';
  private isNew = true;

  *push(chunk: Buffer): Iterable<Piece> {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.isNew) this.begin();
      this.isNew = this.place !== 'quoted' && byte === LINE_FEED;
      if (byte === LINE_FEED) this.line++;
      this.place = this.after(byte);
      if (!this.isNew) continue;
      const record = this.takeRecord(chunk.subarray(start, at));
      if (record) yield record;
      start = at + 1;
    }
    this.add(chunk.subarray(start));
  }

  end(): Piece[] {
    const record = this.takeRecord(NOTHING);
    if (this.place === 'quoted') {
      this.line = record?.line ?? this.line;
      throw this.broken('there is a quote without an end in the record');
    }
    return record ? [record] : [];
  }

  private after(byte: number): typeof this.place {
    if (this.place === 'quoted') return byte === QUOTE ? 'quote' : 'quoted';
    if (byte === COMMA || byte === LINE_FEED) return 'cell';
    // A quote is one only around a whole cell, and inside when it is doubled.
    return byte === QUOTE && this.place !== 'plain' ? 'quoted' : 'plain';
  }

  private takeRecord(last: Buffer): Piece | undefined {
    const { line, bytes } = this.take(last);
    const record = bytes?.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes;
    return record?.length === 0 ? undefined : { line, bytes: record };
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;
}
