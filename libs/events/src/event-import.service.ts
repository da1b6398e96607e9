import { Injectable } from '@nestjs/common';
import { AppError, CacheService, databaseFault, DatabaseService, type StreamedContent } from '@app/platform';
import { newEventKeys } from './event-cache-keys';
import { MAX_IMPORT_ERRORS, type ImportResultDto } from './event-import.dto';
import { readItems } from './event-import-reader';
import { EventStore, toRecord } from './event-store';
import type { CreateEventDto } from './events.dto';
import { toRejected } from './rejected-event';

/** Events of one transaction, and their characters: whichever is reached first. */
const BATCH = { events: 500, characters: 4 * 1024 * 1024 };

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

/** Stores the events of a file as it arrives. */
@Injectable()
export class EventImportService {
  constructor(
    private readonly database: DatabaseService,
    private readonly store: EventStore,
    private readonly cache: CacheService,
  ) {}

  /**
   * Stores the events that are allowed, in batches that are a transaction each, and tells what became of them. The
   * upload waits while a batch is stored.
   *
   * @throws AppError `malformed` or `timeout` where the file cannot be read on, and `unavailable`: the message tells what
   *   was stored before, which stays stored; `invalid` or `payload_too_large` for the header of CSV
   */
  async import(content: StreamedContent): Promise<ImportResultDto> {
    const result: ImportResultDto = { imported: 0, rejected: 0, errors: [] };
    try {
      await this.storeAll(content, result);
      return result;
    } catch (error) {
      throw interrupted(error, result);
    }
  }

  private async storeAll(content: StreamedContent, result: ImportResultDto): Promise<void> {
    let batch = emptyBatch();
    let index = 0;
    try {
      for await (const { line, event } of readItems(content)) {
        const place = { index: index++, line };
        if (event instanceof AppError) reject(result, place, event);
        else add(batch, place, event);
        if (batch.records.length < BATCH.events && batch.characters < BATCH.characters) continue;
        const full = batch;
        batch = emptyBatch();
        await this.storeBatch(full, result);
      }
    } finally {
      // Also those in front of where the file is broken.
      await this.storeBatch(batch, result);
    }
  }

  private async storeBatch({ records, places, types }: Batch, result: ImportResultDto): Promise<void> {
    if (records.length === 0) return;
    try {
      const outcomes = await this.database.transaction((connection) => this.store.insertMany(records, connection));
      outcomes.forEach((outcome, index) => {
        if (outcome instanceof AppError) reject(result, places[index]!, outcome);
        else result.imported++;
      });
    } finally {
      // Also after a failure: a connection that broke at the commit leaves open whether it happened.
      await this.cache.invalidate(newEventKeys(types));
    }
  }
}

function emptyBatch(): Batch {
  return { records: [], characters: 0, places: [], types: new Set() };
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

function interrupted(error: unknown, { imported, rejected }: ImportResultDto): unknown {
  const fault = databaseFault(error) ?? error;
  // A header of CSV that is refused comes before any event.
  if (!(fault instanceof AppError) || fault.kind === 'invalid' || fault.kind === 'payload_too_large') return fault;
  const message = `${fault.message} ${imported} events were imported and ${rejected} rejected before.`;
  return new AppError(fault.kind, message, { headers: fault.headers, cause: fault });
}
