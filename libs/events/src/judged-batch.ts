import { AppError, giveTurn, invalid, MAX_ERRORS, type FieldError } from '@app/platform';
import type { BatchItem } from './event-batch-reader';
import type { RejectedEventDto } from './event-batch.dto';
import { toRecord } from './event-store';
import { toRejected } from './rejected-event';
import { MAX_STATEMENT } from './write-queue';

/** What became of an event that was to be stored. */
export type Outcome = { id: number } | AppError;

/** Records that one statement stores well within its time limit. */
class Chunk {
  count = 0;
  private characters = 0;
  private records: string[] = [];
  private bytes: Buffer | undefined;

  /** @param start the place of the first one among all records */
  constructor(readonly start: number) {}

  hasRoomFor(record: string): boolean {
    const isFull = this.count >= MAX_STATEMENT.events || this.characters + record.length > MAX_STATEMENT.characters;
    return this.count === 0 || !isFull;
  }

  add(record: string): void {
    this.records.push(record);
    this.characters += record.length;
    this.count++;
  }

  /** Keeps the records as bytes: beside the heap, and a character that needs one has one. Returns how many. */
  pack(): number {
    // JSON text has no line breaks of its own.
    this.bytes = Buffer.from(this.records.join('\n'));
    this.records = [];
    return this.bytes.length;
  }

  /** The records, as `toRecord` writes them. */
  unpack(): string[] {
    return this.bytes?.toString().split('\n') ?? this.records;
  }
}

/** A batch of which each event was judged: what is to be stored, as text, and what was refused, as it is answered. */
export class JudgedBatch {
  readonly eventTypes = new Set<string>();
  /** Bytes of all records but those of the last statement. */
  bytes = 0;
  /** All records. */
  readonly chunks: Chunk[] = [];
  /** The place of each record among all events. */
  private readonly places: number[] = [];
  private readonly ids: (number | null)[] = [];
  private readonly rejected: RejectedEventDto[] = [];
  /** The first rules that are broken, and how many are. */
  private readonly errors: FieldError[] = [];
  private errorCount = 0;

  /** Adds the next event. */
  add(item: BatchItem): void {
    const index = this.ids.push(null) - 1;
    if (item instanceof AppError) {
      this.reject(index, item);
      return;
    }
    const record = toRecord(item);
    this.chunkFor(record).add(record);
    this.places.push(index);
    this.eventTypes.add(item.event_type);
  }

  /** Notes what became of the records of a chunk. */
  note({ start }: Chunk, outcomes: readonly Outcome[]): void {
    outcomes.forEach((outcome, offset) => {
      const index = this.places[start + offset]!;
      if (outcome instanceof AppError) this.reject(index, outcome);
      else this.ids[index] = outcome.id;
    });
  }

  /** @throws AppError `invalid` with the first errors where any event was refused */
  refuseIfAny(): void {
    if (this.errorCount > 0) throw invalid(this.errors, this.errorCount);
  }

  /** The `BatchResultDto` as JSON. */
  async toJson(): Promise<string> {
    const errors: string[] = [];
    for (const each of this.rejected.sort((a, b) => a.index - b.index)) {
      errors.push(JSON.stringify(each));
      const turn = giveTurn();
      if (turn) await turn;
    }
    const counts = `"accepted":${this.ids.length - errors.length},"rejected":${errors.length}`;
    return `{${counts},"ids":${JSON.stringify(this.ids)},"errors":[${errors.join(',')}]}`;
  }

  private chunkFor(record: string): Chunk {
    const last = this.chunks.at(-1);
    if (last?.hasRoomFor(record)) return last;
    if (last) this.bytes += last.pack();
    const next = new Chunk(this.places.length);
    this.chunks.push(next);
    return next;
  }

  private reject(index: number, error: AppError): void {
    this.rejected.push(toRejected(index, error));
    for (const each of error.errors ?? [{ detail: error.message, pointer: '#' }]) {
      this.errorCount++;
      const inside = 'pointer' in each ? each.pointer.slice(1) : '';
      if (this.errors.length < MAX_ERRORS) this.errors.push({ detail: each.detail, pointer: `#/${index}${inside}` });
    }
  }
}
