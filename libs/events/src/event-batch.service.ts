import { Injectable } from '@nestjs/common';
import pLimit from 'p-limit';
import {
  CacheService,
  DatabaseService,
  giveTurn,
  type BufferedContent,
  type Connection,
  type IdempotencyKey,
} from '@app/platform';
import { readBatch, sizeOfBatch } from './event-batch-reader';
import { newEventKeys } from './event-cache-keys';
import { EventQuotas } from './event-quotas';
import { EventStore } from './event-store';
import { IdempotencyService, type Answer } from './idempotency.service';
import { JudgedBatch } from './judged-batch';

/**
 * Bytes of a batch that is judged by itself, one at a time: what comes of it takes as much again until it is done. A
 * smaller one never waits for it.
 */
const LARGE_BYTES = 4 * 1024 * 1024;

const NO_BYTES = Buffer.alloc(0);

/** Stores many events of one request, on a connection of its own, in its turn. */
@Injectable()
export class EventBatchService {
  private readonly judging = pLimit(1);

  constructor(
    private readonly database: DatabaseService,
    private readonly events: EventStore,
    private readonly keys: IdempotencyService,
    private readonly cache: CacheService,
    private readonly quotas: EventQuotas,
  ) {}

  /**
   * Stores the events that are allowed, and tells of each what became of it.
   *
   * @param content the batch, which is read when its turn comes, and not kept any longer
   * @param atomic refuses all when one is refused
   * @throws AppError what `readBatch` throws; `invalid` when `atomic`; `conflict` or `invalid` for the key;
   *   `unavailable`. Nothing is stored then, unless the connection broke at the commit
   */
  create(content: BufferedContent, atomic: boolean, key?: IdempotencyKey): Promise<Answer> {
    return this.quotas.batches.run(() => this.store(content, atomic, key));
  }

  private async store(content: BufferedContent, atomic: boolean, key?: IdempotencyKey): Promise<Answer> {
    const isLarge = content.bytes.length > LARGE_BYTES;
    const batch = await (isLarge ? this.judging(() => judge(content)) : judge(content));
    if (atomic) batch.refuseIfAny();
    return this.cache.changing(newEventKeys(batch.eventTypes), async (announce) => {
      const insert = async (connection?: Connection): Promise<string> => {
        // One statement is a transaction by itself.
        if (!connection) await announce();
        for (const chunk of batch.chunks) batch.note(chunk, await this.events.insertMany(chunk.unpack(), connection));
        if (atomic) batch.refuseIfAny();
        if (connection) await announce();
        return batch.toJson();
      };
      if (key) return this.keys.answerOnce(key, 200, insert);
      const isOne = !atomic && batch.chunks.length <= 1;
      const body = isOne ? await insert() : await this.database.transaction(insert);
      return { headers: {}, body, isReplayed: false };
    });
  }
}

// Its values are never more than those of one event, for they are texts before another request has its turn.
async function judge(content: BufferedContent): Promise<JudgedBatch> {
  const batch = new JudgedBatch();
  const size = sizeOfBatch(content);
  content.memory?.grow(size);
  for (const item of readBatch(content)) {
    batch.add(item);
    // Numbers may be longer as they are stored than as they came.
    if (batch.bytes > size) content.memory?.grow(batch.bytes);
    const turn = giveTurn();
    if (turn) await turn;
  }
  content.bytes = NO_BYTES;
  return batch;
}
