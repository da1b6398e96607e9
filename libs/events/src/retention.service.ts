import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { BackgroundTask, CONFIG, type Config } from '@app/platform';
import { ClockService } from './clock.service';
import type { Position } from './event-cursor';
import { EventDeletionService } from './event-deletion.service';
import type { EventFilter } from './event-filter';
import { SEVERITIES } from './event.entity';
import { RetentionRunsService, type BegunRun } from './retention-runs.service';
import type { RetentionDto } from './retention.dto';

/** Milliseconds until the next attempt after one that failed, unless a run is due earlier. */
const RETRY_MS = 60_000;

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Deletes events that are older than `RETENTION_DAYS` allows, in the background: in chunks that are a transaction each,
 * with a pause after each that is as long as the chunk took, so that it takes half of one connection at most.
 *
 * The age is that of `timestamp`, by the database's clock, at the start of a run: an event of exactly so many days is
 * kept. Of several processes one does it at a time. While that clock is in doubt, nothing is deleted.
 */
@Injectable()
export class RetentionService implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(RetentionService.name);
  private readonly task: BackgroundTask;
  private readonly retryMs: number;
  private reported: string | undefined;

  constructor(
    private readonly deletion: EventDeletionService,
    private readonly runs: RetentionRunsService,
    private readonly clock: ClockService,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    this.retryMs = Math.min(RETRY_MS, config.retention.intervalMs);
    this.task = new BackgroundTask('retention', this.retryMs, (signal) => this.run(signal));
  }

  onApplicationBootstrap(): void {
    if (this.hasPolicy) this.task.start();
  }

  onApplicationShutdown(): Promise<void> {
    return this.task.stop();
  }

  /** What is kept how long, and when that was and will be applied. @throws AppError `unavailable` */
  async status(): Promise<RetentionDto> {
    const [{ run, now }, doubt] = await Promise.all([this.runs.last(), this.hasPolicy ? this.clock.peek() : undefined]);
    const next = run ? run.endedAt.getTime() + this.config.retention.intervalMs : 0;
    const times = [next, now.getTime(), doubt?.until?.getTime() ?? 0];
    return {
      policy: this.config.retention.days,
      last_run: run ? { at: run.endedAt.toISOString(), deleted: run.deleted, ms: run.ms } : null,
      next_run: this.hasPolicy ? new Date(Math.max(...times)).toISOString() : null,
      held: doubt?.reason ?? null,
    };
  }

  private get hasPolicy(): boolean {
    return Object.keys(this.config.retention.days).length > 0;
  }

  private async run(signal: AbortSignal): Promise<number> {
    const run = await this.runs.begin();
    const doubt = run && 'reason' in run ? run.reason : undefined;
    if (doubt && doubt !== this.reported) this.logger.warn(`retention deletes nothing: ${doubt}`);
    this.reported = doubt;
    if (!run) return this.runs.dueInMs();
    if ('reason' in run) return this.retryMs;
    if (!(await this.deleteOld(run, signal))) return 0;
    const { deleted, ms } = await this.runs.end(run);
    if (deleted > 0) this.logger.log(`retention deleted ${deleted} events in ${ms} ms`);
    return this.config.retention.intervalMs;
  }

  /** Whether it came to its end; what is left after another end is for the next run, which may begin at once. */
  private async deleteOld(run: BegunRun, signal: AbortSignal): Promise<boolean> {
    let isDone = false;
    try {
      for (const filter of this.filters(run.startedAt)) {
        if (!(await this.deleteAll(filter, run, signal))) return false;
      }
      isDone = true;
      return true;
    } finally {
      // A database that is away frees the run by itself, some time later.
      if (!isDone) await this.runs.breakOff(run).catch(() => undefined);
    }
  }

  private async deleteAll(filter: EventFilter, run: BegunRun, signal: AbortSignal): Promise<boolean> {
    let after: Position | undefined;
    do {
      const start = performance.now();
      const chunk = await this.deletion.deleteChunk(filter, { after, isPatient: true });
      if (!(await this.runs.goOn(run, chunk.deleted))) return false;
      after = chunk.next;
      await sleep(performance.now() - start, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return false;
    } while (after);
    return true;
  }

  private filters(now: Date): EventFilter[] {
    const { days } = this.config.retention;
    return SEVERITIES.flatMap((severity) => {
      const kept = days[severity];
      return kept === undefined ? [] : [{ severities: [severity], until: new Date(now.getTime() - kept * DAY_MS) }];
    });
  }
}
