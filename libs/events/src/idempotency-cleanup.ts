import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { BackgroundTask } from '@app/platform';
import { ClockService, MAX_SKEW_MS } from './clock.service';
import { IdempotencyKeyRow } from './idempotency-key.entity';

const PAUSE_MS = 10 * 60 * 1000;
const RETRY_MS = 60 * 1000;

/** Keys removed in one statement. */
const CHUNK = 5000;

const someOf = (condition: string): string => `
  WHERE digest = ANY (ARRAY(
    SELECT digest FROM idempotency_keys WHERE ${condition} LIMIT ${CHUNK} FOR UPDATE SKIP LOCKED
  ))`;
const REMOVE_OLD = `DELETE FROM idempotency_keys ${someOf("created_at < now() - interval '24 hours'")}`;
// Stored before the clock was set right: how old they are is not known.
const REDATE_FUTURE = `
  UPDATE idempotency_keys SET created_at = now()
  ${someOf(`created_at > now() + interval '${MAX_SKEW_MS} milliseconds'`)}`;

/** Removes idempotency keys when they are 24 hours old; later, while the clock that tells it is in doubt. */
@Injectable()
export class IdempotencyCleanup implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly task = new BackgroundTask('removal of old idempotency keys', RETRY_MS, (signal) =>
    this.removeOld(signal),
  );

  constructor(
    @InjectRepository(IdempotencyKeyRow) private readonly keys: Repository<IdempotencyKeyRow>,
    private readonly clock: ClockService,
  ) {}

  onApplicationBootstrap(): void {
    this.task.start();
  }

  onApplicationShutdown(): Promise<void> {
    return this.task.stop();
  }

  private async removeOld(signal: AbortSignal): Promise<number> {
    if (await this.clock.look()) return PAUSE_MS;
    for (const statement of [REDATE_FUTURE, REMOVE_OLD]) {
      let changed = CHUNK;
      while (changed === CHUNK && !signal.aborted) {
        [, changed] = await this.keys.query<[unknown[], number]>(statement);
      }
    }
    return PAUSE_MS;
  }
}
