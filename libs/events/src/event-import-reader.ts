import {
  AppError,
  checkTree,
  decodeUtf8,
  escapePointer,
  giveTurn,
  invalid,
  parseJson,
  parseJsonBody,
  shorten,
  toBody,
  type StreamedContent,
} from '@app/platform';
import { CSV_COLUMNS, readCsvRecord, type CsvCell } from './event-csv';
import {
  ArrayFraming,
  LineFraming,
  MAX_EVENT_BYTES,
  RecordFraming,
  type Framing,
  type Piece,
} from './event-import-framing';
import { MAX_IMPORT_ERRORS } from './event-import.dto';
import { requireObject } from './event-rules';
import { CreateEventDto } from './events.dto';

/** An event of a file that passed the rules, or why it did not. */
export interface ImportedItem {
  /** The line on which it starts, from 1. */
  line: number;
  event: CreateEventDto | AppError;
}

/** How errors call a part of the file. */
const EVENT = 'The event';
const HEADER = 'The header';

type Column = (typeof CSV_COLUMNS)[number];

const REQUIRED_COLUMNS: readonly Column[] = ['event_type', 'severity', 'message'];

/** Bytes of the shortest event that is allowed. */
const LEAST_BYTES = {
  json: JSON.stringify({ event_type: 'x', severity: 'info', message: 'x' }).length,
  csv: 'x,info,x'.length,
};
const TOO_SHORT = new AppError('invalid', 'It is too short for an event.');

/** Bytes that are looked at without a turn for others where no event ends in them: well under a millisecond of work. */
const SLICE_BYTES = 8 * 1024;

/**
 * The events of a file as it arrives, in groups: each is read while it is asked for, and gives no turn for others itself.
 *
 * @throws AppError `malformed` where nothing that follows can be read; `invalid` and `payload_too_large` for the header
 *   of CSV
 */
export async function* readItems({ type, chunks }: StreamedContent): AsyncGenerator<Iterable<ImportedItem>, void> {
  const file = new EventFile(type);
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += SLICE_BYTES) {
      const turn = giveTurn();
      if (turn) await turn;
      yield file.push(chunk.subarray(start, start + SLICE_BYTES));
    }
  }
  yield file.end();
}

class EventFile {
  private readonly framing: Framing;
  /** The columns of CSV, once its header is read. */
  private columns: Column[] | undefined;
  private rejected = 0;

  constructor(private readonly type: StreamedContent['type']) {
    this.framing = framingOf(type);
  }

  push(chunk: Buffer): Iterable<ImportedItem> {
    return this.read(this.framing.push(chunk));
  }

  *end(): Iterable<ImportedItem> {
    yield* this.read(this.framing.end());
    if (this.type === 'text/csv') this.columns ??= requireColumns([]);
  }

  private *read(pieces: Iterable<Piece>): Iterable<ImportedItem> {
    for (const piece of pieces) {
      if (this.type !== 'text/csv') yield this.judge(piece, LEAST_BYTES.json, readJson);
      else if (this.columns) yield this.judge(piece, LEAST_BYTES.csv, readRecord(this.columns));
      else this.columns = readHeader(piece);
    }
  }

  // Where nobody is told any more what is wrong, only what could be an event costs more than a look at its length: half
  // a million wrong ones fit in a MiB.
  private judge(piece: Piece, leastBytes: number, read: (bytes: Buffer) => unknown): ImportedItem {
    const { line, bytes } = piece;
    const isClear = this.rejected >= MAX_IMPORT_ERRORS && bytes !== undefined && bytes.length < leastBytes;
    const item = isClear ? { line, event: TOO_SHORT } : itemOf(piece, read);
    if (item.event instanceof AppError) this.rejected++;
    return item;
  }
}

function framingOf(type: StreamedContent['type']): Framing {
  switch (type) {
    case 'application/json':
      return new ArrayFraming();
    case 'application/x-ndjson':
      return new LineFraming();
    case 'text/csv':
      return new RecordFraming();
  }
}

function itemOf({ line, bytes }: Piece, read: (bytes: Buffer) => unknown): ImportedItem {
  const { stackTraceLimit } = Error;
  // There can be half a million wrong events in a MiB, and nobody sees where in the code each was found to be wrong.
  Error.stackTraceLimit = 0;
  try {
    return { line, event: toEvent(read(requireBytes(bytes, EVENT))) };
  } catch (error) {
    if (error instanceof AppError) return { line, event: error };
    throw error;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function requireBytes(bytes: Buffer | undefined, name: string): Buffer {
  if (bytes) return bytes;
  throw new AppError('payload_too_large', `${name} is larger than ${MAX_EVENT_BYTES / 1024 ** 2} MiB.`);
}

// What an export has beside the fields of a new event belongs to the service that it comes from.
function toEvent(value: unknown): CreateEventDto {
  const event = { ...requireObject(value) } as Record<string, unknown>;
  for (const field of ['id', 'created_at', 'updated_at']) delete event[field];
  return toBody(CreateEventDto, event);
}

function readJson(bytes: Buffer): unknown {
  return parseJsonBody(bytes, EVENT);
}

function readHeader({ bytes }: Piece): Column[] {
  const names = readCsvRecord(decodeUtf8(requireBytes(bytes, HEADER), HEADER)) ?? [];
  const columns = names.map((name, index) => {
    const column = CSV_COLUMNS.find((known) => known === name);
    if (!column) throw wrongHeader(name ?? '', 'is no column of events');
    if (names.indexOf(name) < index) throw wrongHeader(column, 'is there twice');
    return column;
  });
  return requireColumns(columns);
}

function requireColumns(columns: Column[]): Column[] {
  const missing = REQUIRED_COLUMNS.find((column) => !columns.includes(column));
  if (missing) throw wrongHeader(missing, 'is missing');
  return columns;
}

function readRecord(columns: Column[]): (bytes: Buffer) => unknown {
  return (bytes) => {
    const cells = readCsvRecord(decodeUtf8(bytes, EVENT));
    if (!cells) throw new AppError('malformed', `${EVENT} is no CSV: its quotes are wrong.`);
    if (cells.length !== columns.length) {
      const counts = `it has ${cells.length} cells, the header ${columns.length}`;
      throw new AppError('malformed', `${EVENT} does not fit the header: ${counts}.`);
    }
    const event = Object.fromEntries(columns.map((column, index) => [column, readCell(column, cells[index] ?? null)]));
    checkTree(event, EVENT);
    return event;
  };
}

// An empty cell is what was left out, a text that has to be there excepted; only a source may be the empty text.
function readCell(column: Column, cell: CsvCell): unknown {
  if (REQUIRED_COLUMNS.includes(column)) return cell ?? '';
  if (column === 'source') return cell;
  if (cell === null || cell === '') return undefined;
  return column === 'details' ? parseDetails(cell) : cell;
}

function parseDetails(cell: string): unknown {
  try {
    return parseJson(cell);
  } catch {
    throw invalid([{ detail: 'details must be JSON', pointer: '#/details' }]);
  }
}

function wrongHeader(column: string, problem: string): AppError {
  const name = shorten(column);
  return invalid([{ detail: `the column "${name}" ${problem}`, pointer: `#/${escapePointer(column)}` }]);
}
