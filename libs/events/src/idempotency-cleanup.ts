import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { BackgroundTask } from '@app/platform';
import { IdempotencyKeyRow } from './idempotency-key.entity';

const PAUSE_MS = 10 * 60 * 1000;
const RETRY_MS = 60 * 1000;

/** Keys removed in one statement. */
const CHUNK = 5000;

const REMOVE_OLD = `
  DELETE FROM idempotency_keys WHERE digest = ANY (ARRAY(
    SELECT digest FROM idempotency_keys WHERE created_at < now() - interval '24 hours'
    LIMIT ${CHUNK} FOR UPDATE SKIP LOCKED
  ))`;

/** Removes idempotency keys when they are 24 hours old. */
@Injectable()
export class IdempotencyCleanup implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly task = new BackgroundTask('removal of old idempotency keys', RETRY_MS, (signal) =>
    this.removeOld(signal),
  );

  constructor(@InjectRepository(IdempotencyKeyRow) private readonly keys: Repository<IdempotencyKeyRow>) {}

  onApplicationBootstrap(): void {
    this.task.start();
  }

  onApplicationShutdown(): Promise<void> {
    return this.task.stop();
  }

  private async removeOld(signal: AbortSignal): Promise<number> {
    let removed = CHUNK;
    while (removed === CHUNK && !signal.aborted) {
      [, removed] = await this.keys.query<[unknown[], number]>(REMOVE_OLD);
    }
    return PAUSE_MS;
  }
}
