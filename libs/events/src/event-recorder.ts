import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { AppError, CONFIG, type Config } from '@app/platform';
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

interface WaitingEvent {
  event: OwnEvent & { timestamp: string };
  isLogged: boolean;
}

/**
 * Records events of the service itself in the background: it never blocks and never fails its caller. While the
 * database is away they go to the log, and with their own times into the database when it returns.
 */
@Injectable()
export class EventRecorder implements OnModuleDestroy {
  private readonly logger = new Logger(EventRecorder.name);
  private readonly waiting: WaitingEvent[] = [];
  private readonly stopping = new AbortController();
  private draining: Promise<void> | undefined;

  constructor(
    private readonly events: EventsService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Queues an event, its time being now. */
  record(event: OwnEvent): void {
    this.waiting.push({ event: { ...event, timestamp: new Date().toISOString() }, isLogged: false });
    if (this.waiting.length > MAX_WAITING) this.log('event dropped', this.waiting.shift());
    this.draining ??= this.drain().finally(() => (this.draining = undefined));
  }

  /** Resolves when all that was recorded is stored, or at the first failure. */
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
    while (this.waiting.length > 0) {
      if (await this.storeFirst()) continue;
      for (const waiting of this.waiting) this.log('event not stored yet', waiting);
      if (this.stopping.signal.aborted) return;
      await sleep(RETRY_MS, undefined, { signal: this.stopping.signal, ref: false }).catch(() => undefined);
    }
  }

  // An event whose connection broke may be stored already: then it is stored twice rather than not at all.
  private async storeFirst(): Promise<boolean> {
    const waiting = this.waiting.shift();
    if (!waiting) return true;
    try {
      await this.events.create({ ...waiting.event, source: this.config.serviceName });
      return true;
    } catch (error) {
      if (error instanceof AppError && error.kind === 'invalid') {
        this.log('event refused', waiting);
        return true;
      }
      this.waiting.unshift(waiting);
      return false;
    }
  }

  private log(outcome: string, waiting: WaitingEvent | undefined): void {
    if (!waiting || (waiting.isLogged && outcome === 'event not stored yet')) return;
    waiting.isLogged = true;
    this.logger.warn(`${outcome}: ${JSON.stringify(waiting.event)}`);
  }
}
