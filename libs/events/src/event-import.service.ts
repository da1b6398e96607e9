import { Injectable } from '@nestjs/common';
import {
  AppError,
  CacheService,
  DatabaseService,
  giveTurn,
  type Connection,
  type StreamedContent,
} from '@app/platform';
import { newEventKeys } from './event-cache-keys';
import { MAX_IMPORT_ERRORS, type ImportResultDto } from './event-import.dto';
import { readItems, type ImportedItem } from './event-import-reader';
import { hopelessFile, interrupted, isHopeless } from './event-import-refusal';
import { EventQuotas } from './event-quotas';
import { EventStore, toRecord } from './event-store';
import type { CreateEventDto } from './events.dto';
import type { Outcome } from './judged-batch';
import { toRejected } from './rejected-event';
import { UnstoredEvents } from './unstored-events';
import { MAX_STATEMENT } from './write-queue';

/** Events of one transaction, and their characters: whichever is reached first. */
const BATCH = { events: 500, characters: MAX_STATEMENT.characters };

/** Where an event stands in its file. */
interface Place {
  index: number;
  line: number;
}

/** Events that wait to be stored together. */
interface Batch {
  records: string[];
  characters: number;
  places: Place[];
  types: Set<string>;
}

/** An import under way. */
interface Progress {
  type: StreamedContent['type'];
  /** Events that were read. */
  read: number;
  batch: Batch;
  result: ImportResultDto;
}

/** Stores the events of a file as it arrives. */
@Injectable()
export class EventImportService {
  private readonly unstored = new UnstoredEvents();

  constructor(
    private readonly database: DatabaseService,
    private readonly store: EventStore,
    private readonly cache: CacheService,
    private readonly quotas: EventQuotas,
  ) {}

  /**
   * Stores the events that are allowed, in batches that are a transaction each, and tells what became of them. The
   * upload waits while a batch is stored.
   *
   * @throws AppError `malformed` or `timeout` where the file cannot be read on, and `unavailable`: the message tells what
   *   was stored before, which stays stored; `invalid` or `payload_too_large` for the header of CSV, and `invalid` when
   *   the first 10,000 events are all refused, after which nothing more is read
   */
  async import(content: StreamedContent): Promise<ImportResultDto> {
    const result: ImportResultDto = { imported: 0, rejected: 0, errors: [] };
    const progress = { type: content.type, read: 0, batch: emptyBatch(), result };
    try {
      await this.storeAll(content, progress);
      return result;
    } catch (error) {
      throw interrupted(error, result);
    }
  }

  private async storeAll(content: StreamedContent, progress: Progress): Promise<void> {
    try {
      for await (const items of readItems(content)) {
        if (this.unstored.isFull) await this.waitForRoom(progress);
        await this.takeAll(items, progress);
      }
    } finally {
      // Also those in front of where the file is broken.
      await this.storeBatch(progress);
    }
  }

  // Whoever waits holds nothing: others wait for the same.
  private async waitForRoom(progress: Progress): Promise<void> {
    await this.storeBatch(progress);
    await this.unstored.room();
  }

  private async takeAll(items: Iterable<ImportedItem>, progress: Progress): Promise<void> {
    const iterator = items[Symbol.iterator]();
    while (this.takeNext(iterator, progress)) {
      if (isFull(progress.batch) || this.unstored.isFull) await this.storeBatch(progress);
      const turn = giveTurn();
      if (turn) await turn;
    }
  }

  // By itself, so that nothing keeps the values of the event while its text waits to be stored.
  private takeNext(items: Iterator<ImportedItem>, progress: Progress): boolean {
    const next = items.next();
    if (next.done) return false;
    const { batch } = progress;
    const before = batch.characters;
    take(next.value, progress);
    this.unstored.add(batch.characters - before);
    return true;
  }

  private async storeBatch(progress: Progress): Promise<void> {
    const { batch, result } = progress;
    const { records, characters, places, types } = batch;
    if (records.length === 0) return;
    progress.batch = emptyBatch();
    const outcomes = await this.unstored.store(characters, () => this.insert(records, types));
    outcomes.forEach((outcome, index) => {
      if (outcome instanceof AppError) reject(result, places[index]!, outcome);
      else result.imported++;
    });
  }

  private insert(records: string[], types: Set<string>): Promise<Outcome[]> {
    return this.cache.changing(newEventKeys(types), (announce) => {
      const store = async (connection: Connection): Promise<Outcome[]> => {
        const stored = await this.store.insertMany(records, connection);
        await announce();
        return stored;
      };
      // A refusal would break the file off.
      return this.quotas.batches.run(() => this.database.transaction(store), { isPatient: true });
    });
  }
}

function emptyBatch(): Batch {
  return { records: [], characters: 0, places: [], types: new Set() };
}

function isFull({ records, characters }: Batch): boolean {
  return records.length >= BATCH.events || characters >= BATCH.characters;
}

function take({ line, event }: ImportedItem, progress: Progress): void {
  const { type, batch, result } = progress;
  const place = { index: progress.read++, line };
  if (event instanceof AppError) reject(result, place, event);
  else add(batch, place, event);
  if (isHopeless(result, progress.read)) throw hopelessFile(result, type);
}

function add(batch: Batch, place: Place, event: CreateEventDto): void {
  const record = toRecord(event);
  batch.records.push(record);
  batch.characters += record.length;
  batch.places.push(place);
  batch.types.add(event.event_type);
}

function reject(result: ImportResultDto, { index, line }: Place, error: AppError): void {
  result.rejected++;
  if (result.errors.length < MAX_IMPORT_ERRORS) result.errors.push({ ...toRejected(index, error), line });
}
