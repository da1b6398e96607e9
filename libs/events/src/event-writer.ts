import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { AppError, CacheService } from '@app/platform';
import { newEventKeys } from './event-cache-keys';
import type { StoredEvent } from './event-json';
import { EventStore, toRecord, type NewEvent } from './event-store';
import { WriteQueue } from './write-queue';

interface NewRecord {
  eventType: string;
  json: string;
}

/** Stores single events as they come, all that wait in one statement. */
@Injectable()
export class EventWriter implements OnApplicationShutdown {
  private readonly queue: WriteQueue<NewRecord, StoredEvent>;

  constructor(
    private readonly store: EventStore,
    private readonly cache: CacheService,
  ) {
    this.queue = new WriteQueue((records) => this.flush(records));
  }

  /**
   * Stores an event; when this returns, it is committed, and no cached answer is older.
   *
   * @throws AppError `invalid`; `unavailable`, also when too many events are waiting
   */
  write(event: NewEvent): Promise<StoredEvent> {
    const json = toRecord(event);
    return this.queue.add({ eventType: event.event_type, json }, json.length);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.queue.drained();
  }

  private flush(records: readonly NewRecord[]): Promise<(StoredEvent | AppError)[]> {
    return this.cache.changing(newEventKeys(records.map(({ eventType }) => eventType)), async (announce) => {
      await announce();
      return this.store.insert(records.map(({ json }) => json));
    });
  }
}
