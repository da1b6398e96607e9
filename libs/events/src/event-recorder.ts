import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { CONFIG, type Config } from '@app/platform';
import type { Severity } from './event.entity';
import { EventsService } from './events.service';

/** Events that wait for the database; beyond them the oldest are dropped (they stand in the log). */
const MAX_WAITING = 1000;

/** Milliseconds before the next attempt after one that failed. */
const RETRY_MS = 1000;

/** What the service records of itself. */
export interface OwnEvent {
  event_type: string;
  severity: Severity;
  message: string;
  details?: Record<string, unknown>;
}

/**
 * Records events of the service itself in the background: it never blocks and never fails its caller. While the
 * database is away they go to the log, and with their own times into the database when it returns.
 */
@Injectable()
export class EventRecorder implements OnModuleDestroy {
  private readonly logger = new Logger(EventRecorder.name);
  private readonly waiting: (OwnEvent & { timestamp: string })[] = [];
  private readonly stopping = new AbortController();
  private draining: Promise<void> | undefined;

  constructor(
    private readonly events: EventsService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Queues an event, its time being now. */
  record(event: OwnEvent): void {
    this.waiting.push({ ...event, timestamp: new Date().toISOString() });
    if (this.waiting.length > MAX_WAITING) this.waiting.shift();
    this.draining ??= this.drain().finally(() => (this.draining = undefined));
  }

  /** Resolves when all that was recorded is stored, or after one more failure per event. */
  async flush(): Promise<void> {
    this.stopping.abort();
    await this.draining;
    while (this.waiting.length > 0) {
      if (!(await this.storeFirst())) return;
    }
  }

  onModuleDestroy(): void {
    this.stopping.abort();
  }

  private async drain(): Promise<void> {
    let logged = 0;
    while (this.waiting.length > 0) {
      if (await this.storeFirst()) {
        logged = Math.max(0, logged - 1);
        continue;
      }
      if (this.stopping.signal.aborted) return;
      for (const event of this.waiting.slice(logged))
        this.logger.warn(`event not stored yet: ${JSON.stringify(event)}`);
      logged = this.waiting.length;
      await sleep(RETRY_MS, undefined, { signal: this.stopping.signal, ref: false }).catch(() => undefined);
    }
  }

  private async storeFirst(): Promise<boolean> {
    const event = this.waiting.shift();
    if (!event) return true;
    try {
      await this.events.create({ ...event, source: this.config.serviceName });
      return true;
    } catch {
      this.waiting.unshift(event);
      return false;
    }
  }
}
