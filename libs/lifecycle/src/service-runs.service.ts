import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, DatabaseService, Statement, type Config } from '@app/platform';

/** Runs that ended longer ago than this are forgotten. */
const KEPT_FOR = '30 days';

/** A run that ended without a shutdown. */
export interface CrashedRun {
  id: string;
  service_name: string;
  host: string;
  pid: number;
  version: string;
  started_at: Date;
  heartbeat_at: Date;
}

const BEAT = new Statement<{ now: Date }>(
  'beat',
  `INSERT INTO service_runs (id, service_name, host, pid, version, started_at, expires_at)
   VALUES ($1, $2, $3, $4, $5, now() - make_interval(secs => $6), now() + make_interval(secs => $7))
   ON CONFLICT (id) DO UPDATE
   SET heartbeat_at = now(), expires_at = excluded.expires_at, ended_at = NULL, outcome = NULL
   RETURNING now() AS now`,
);
const endCrashed = (which: string): string =>
  `UPDATE service_runs SET ended_at = now(), outcome = 'crash'
   WHERE id <> $1 AND ended_at IS NULL AND ${which}
   RETURNING id, service_name, host, pid, version, started_at, heartbeat_at`;

const SILENCE = '(expires_at - heartbeat_at)';
const SPOKE = `CASE WHEN heartbeat_at > $2::timestamptz + ${SILENCE} THEN $3::timestamptz ELSE greatest(heartbeat_at, $3) END`;

const END_OTHERS = new Statement<CrashedRun>('end-other-runs', endCrashed('true'));
const END_OVERDUE = new Statement<CrashedRun>('end-overdue-runs', endCrashed(`${SPOKE} + ${SILENCE} <= $2`));
const END = new Statement<Record<string, never>>(
  'end-run',
  `UPDATE service_runs SET ended_at = now(), outcome = 'shutdown' WHERE id = $1`,
);
const PRUNE = new Statement<Record<string, never>>(
  'prune-runs',
  `DELETE FROM service_runs WHERE ended_at < now() - interval '${KEPT_FOR}'`,
);

/**
 * The runs of this service as the database knows them, by the database's clock. Not over the pool: a process whose
 * requests hold all of it is not crashed. Each method throws what the driver says.
 */
@Injectable()
export class ServiceRunsService {
  private readonly id = randomUUID();

  constructor(
    private readonly database: DatabaseService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Says that this run lives, and will say so again within `aliveMs`; also when another process, which could not know,
   * took it for crashed.
   *
   * @returns what time it is
   */
  async beat(aliveMs: number): Promise<Date> {
    const { serviceName, hostname, version } = this.config;
    const [row] = await BEAT.run(this.database.reserved, [
      this.id,
      serviceName,
      hostname.slice(0, 255),
      process.pid,
      version.slice(0, 50),
      process.uptime(),
      aliveMs / 1000,
    ]);
    if (!row) throw new Error('the statement returned no row');
    return row.now;
  }

  /** Ends every other open run and returns them. */
  endOthers(): Promise<CrashedRun[]> {
    return END_OTHERS.run(this.database.reserved, [this.id]);
  }

  /**
   * Ends every other open run that is overdue and returns them; of several processes one gets each. A run is overdue when it
   * said nothing for as long as it said it might, after `since`: what it said before may be of a clock that was set since,
   * above all when it is far ahead.
   *
   * @param now the time that the last heartbeat of this run had
   */
  endOverdue(since: Date, now: Date): Promise<CrashedRun[]> {
    return END_OVERDUE.run(this.database.reserved, [this.id, now, since]);
  }

  /** Ends this run properly. */
  async end(): Promise<void> {
    await END.run(this.database.reserved, [this.id]);
  }

  /** Forgets runs that ended long ago. */
  async prune(): Promise<void> {
    await PRUNE.run(this.database.reserved, []);
  }
}
