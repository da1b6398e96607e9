import { setImmediate as nextTurn } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import pLimit, { type Limit } from 'p-limit';
import {
  AppError,
  CacheService,
  CONFIG,
  DatabaseService,
  invalid,
  type Config,
  type Connection,
  type FieldError,
  type IdempotencyKey,
} from '@app/platform';
import { newEventKeys } from './event-cache-keys';
import type { BatchItem } from './event-batch-reader';
import type { BatchResultDto } from './event-batch.dto';
import { EventStore, toRecord } from './event-store';
import { IdempotencyService, type Answer } from './idempotency.service';
import { toRejected } from './rejected-event';
import type { CreateEventDto } from './events.dto';
import { MAX_WAIT_MS, tooManyWaiting } from './write-queue';

/** Events that are judged before other requests have a turn, and that one statement stores. */
const CHUNK = 1000;

/** Batches that may wait, of 16 MiB each at most; beyond, new ones are refused. */
const MAX_WAITING_BATCHES = 32;

/** Stores many events of one request, on a connection of its own; half of all are left to everybody else. */
@Injectable()
export class EventBatchService {
  private readonly inTurn: Limit;

  constructor(
    private readonly database: DatabaseService,
    private readonly events: EventStore,
    private readonly keys: IdempotencyService,
    private readonly cache: CacheService,
    @Inject(CONFIG) { database: { pool } }: Config,
  ) {
    this.inTurn = pLimit(Math.ceil(pool.max / 2));
  }

  /**
   * Stores the events that are allowed, and tells of each what became of it.
   *
   * @param read the events, one after the other
   * @param atomic refuses all when one is refused
   * @throws AppError `invalid` when `atomic`; `conflict` or `invalid` for the key; `unavailable`: nothing is stored,
   *   unless the connection broke at the commit
   */
  async create(read: Iterable<BatchItem>, atomic: boolean, key?: IdempotencyKey): Promise<Answer> {
    if (this.inTurn.pendingCount >= MAX_WAITING_BATCHES) throw tooManyWaiting();
    const since = performance.now();
    return this.inTurn(() => {
      if (performance.now() - since > MAX_WAIT_MS) throw tooManyWaiting();
      return this.store(read, atomic, key);
    });
  }

  private async store(read: Iterable<BatchItem>, atomic: boolean, key?: IdempotencyKey): Promise<Answer> {
    const items = await readAll(read);
    if (atomic) refuseIfAny(items);
    const events = items.filter((item) => !(item instanceof AppError)) as CreateEventDto[];
    return this.cache.changing(newEventKeys(events.map(({ event_type }) => event_type)), async (announce) => {
      const insert = async (connection?: Connection): Promise<string> => {
        // One statement is a transaction by itself.
        if (!connection) await announce();
        const stored = await this.insert(events, connection);
        if (atomic) refuseIfAny(stored);
        if (connection) await announce();
        return JSON.stringify(resultOf(items, stored));
      };
      if (key) return this.keys.answerOnce(key, 200, insert);
      const isOne = !atomic && events.length <= CHUNK;
      const body = isOne ? await insert() : await this.database.transaction(insert);
      return { headers: {}, body, isReplayed: false };
    });
  }

  private async insert(
    events: readonly CreateEventDto[],
    connection?: Connection,
  ): Promise<({ id: number } | AppError)[]> {
    const results: ({ id: number } | AppError)[] = [];
    for (let start = 0; start < events.length; start += CHUNK) {
      const records = events.slice(start, start + CHUNK).map((event) => toRecord(event));
      results.push(...(await this.events.insertMany(records, connection)));
    }
    return results;
  }
}

async function readAll(read: Iterable<BatchItem>): Promise<BatchItem[]> {
  const items: BatchItem[] = [];
  for (const item of read) {
    items.push(item);
    if (items.length % CHUNK === 0) await nextTurn();
  }
  return items;
}

function refuseIfAny(items: readonly unknown[]): void {
  const errors = items.flatMap((item, index) => {
    if (!(item instanceof AppError)) return [];
    return (item.errors ?? [{ detail: item.message, pointer: '#' }]).map((error): FieldError => {
      const inside = 'pointer' in error ? error.pointer.slice(1) : '';
      return { detail: error.detail, pointer: `#/${index}${inside}` };
    });
  });
  if (errors.length > 0) throw invalid(errors);
}

function resultOf(items: readonly BatchItem[], stored: readonly ({ id: number } | AppError)[]): BatchResultDto {
  const outcomes = stored.values();
  const ids: (number | null)[] = [];
  const errors: BatchResultDto['errors'] = [];
  items.forEach((item, index) => {
    const outcome = item instanceof AppError ? item : outcomes.next().value;
    if (outcome instanceof AppError) errors.push(toRejected(index, outcome));
    ids.push(outcome instanceof AppError || !outcome ? null : outcome.id);
  });
  return { accepted: items.length - errors.length, rejected: errors.length, ids, errors };
}
