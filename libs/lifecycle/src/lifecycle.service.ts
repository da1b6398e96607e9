import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { EventRecorder } from '@app/events';
import { CONFIG, DatabaseServer, type Config } from '@app/platform';
import { ServiceRunsService, type CrashedRun } from './service-runs.service';

/** Heartbeats that may be missed before a run counts as crashed. */
const MISSED_HEARTBEATS = 3;

/** Milliseconds by which the database's clock may go on more, or less, than that of this process from one heartbeat to the next. */
const CLOCK_SLACK_MS = 1000;

/** A heartbeat: the database's time, and when this process asked for it and knew it, in `performance.now()` milliseconds. */
interface Heartbeat {
  time: Date;
  asked: number;
  known: number;
}

/** Records the starts, stops and crashes of the service, through Nest's own hooks. */
@Injectable()
export class LifecycleService implements OnApplicationBootstrap, OnApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private beating: Promise<void> | undefined;
  /** The time of the database since when every heartbeat reached it and its clock did not jump, and the last of them. */
  private steady: { since: Date; last: Heartbeat } | undefined;

  constructor(
    private readonly recorder: EventRecorder,
    private readonly runs: ServiceRunsService,
    private readonly server: DatabaseServer,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  onApplicationBootstrap(): void {
    const { version, hostname, cache } = this.config;
    this.recorder.record({
      event_type: 'system_startup',
      severity: 'info',
      message: `${this.config.serviceName} ${version} started`,
      details: {
        startup_ms: Math.round(process.uptime() * 1000),
        version,
        node: process.version,
        host: hostname,
        database: this.server.isEmbedded ? 'embedded' : 'external',
        cache: cache.mode,
      },
    });
    this.beat();
    this.timer = setInterval(() => this.beat(), this.config.heartbeatMs).unref();
  }

  /**
   * By now HTTP is closed, and the database is still there: TypeORM's module shuts down after its importers. The
   * heartbeats end only here, or a shutdown that takes its time would be reported as a crash.
   */
  async onApplicationShutdown(signal?: string): Promise<void> {
    clearInterval(this.timer);
    await this.beating;
    const uptime = Math.round(process.uptime());
    this.recorder.record({
      event_type: 'system_shutdown',
      severity: 'info',
      message: `${this.config.serviceName} stopped after ${uptime} s`,
      details: { reason: signal ?? 'close', uptime_seconds: uptime, host: this.config.hostname },
    });
    await this.recorder.flush();
    await this.runs.end().catch(() => undefined);
  }

  // A heartbeat may also have to wait for a connection, and for a database that is slow.
  private get aliveMs(): number {
    const { connectTimeoutMs, statementTimeoutMs } = this.config.database;
    return this.config.heartbeatMs * MISSED_HEARTBEATS + connectTimeoutMs + statementTimeoutMs;
  }

  // One at a time: behind a database that hangs they would queue up, and the shutdown would wait for all of them.
  private beat(): void {
    this.beating ??= this.tryBeat().finally(() => (this.beating = undefined));
  }

  private async tryBeat(): Promise<void> {
    try {
      const asked = performance.now();
      const time = await this.runs.beat(this.aliveMs);
      const beat = { time, asked, known: performance.now() };
      const isFirst = this.steady === undefined;
      // By a clock that jumped, or after a machine slept, nobody is overdue who could not say so since.
      if (!this.steady || hasJumped(this.steady.last, beat)) this.steady = { since: time, last: beat };
      this.steady.last = beat;
      await this.reportCrashes(isFirst, this.steady.since, time);
    } catch {
      // The database is away, which health reports; the next heartbeat tries again.
      this.steady = undefined;
    }
  }

  // After a start or an absence of the database the other processes get time for heartbeats of their own. The embedded
  // database has no other processes: a run that is still open is the previous one.
  private async reportCrashes(isFirst: boolean, since: Date, now: Date): Promise<void> {
    if (isFirst) await this.runs.prune();
    const crashed = this.server.isEmbedded
      ? isFirst && (await this.runs.endOthers())
      : await this.runs.endOverdue(since, now);
    for (const run of crashed || []) this.recordCrash(run);
  }

  private recordCrash(run: CrashedRun): void {
    this.recorder.record({
      event_type: 'system_crash',
      severity: 'critical',
      message: `A run of ${run.service_name} on ${run.host} ended without a shutdown`,
      details: {
        run: run.id,
        service: run.service_name,
        host: run.host,
        pid: run.pid,
        version: run.version,
        started_at: run.started_at.toISOString(),
        last_heartbeat_at: run.heartbeat_at.toISOString(),
      },
    });
  }
}

function hasJumped(before: Heartbeat, { time, asked, known }: Heartbeat): boolean {
  const ms = time.getTime() - before.time.getTime();
  return ms > known - before.asked + CLOCK_SLACK_MS || ms < asked - before.known - CLOCK_SLACK_MS;
}
