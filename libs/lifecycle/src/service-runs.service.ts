import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { CONFIG, type Config } from '@app/platform';
import { ServiceRun } from './service-run.entity';

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

/** The runs of this service as the database knows them, by the database's clock. Each method throws what the driver says. */
@Injectable()
export class ServiceRunsService {
  private readonly id = randomUUID();

  constructor(
    @InjectRepository(ServiceRun) private readonly runs: Repository<ServiceRun>,
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
    const [row] = await this.runs.query<[{ now: Date }]>(
      `INSERT INTO service_runs (id, service_name, host, pid, version, started_at, expires_at)
       VALUES ($1, $2, $3, $4, $5, now() - make_interval(secs => $6), now() + make_interval(secs => $7))
       ON CONFLICT (id) DO UPDATE
       SET heartbeat_at = now(), expires_at = excluded.expires_at, ended_at = NULL, outcome = NULL
       RETURNING now() AS now`,
      [
        this.id,
        serviceName,
        hostname.slice(0, 255),
        process.pid,
        version.slice(0, 50),
        process.uptime(),
        aliveMs / 1000,
      ],
    );
    return row.now;
  }

  /** Ends every other open run and returns them. */
  endOthers(): Promise<CrashedRun[]> {
    return this.endCrashed('true', []);
  }

  /**
   * Ends every other open run that is overdue and returns them; of several processes one gets each. A run is overdue when it
   * said nothing for as long as it said it might, after `since`: what it said before may be of a clock that was set since,
   * above all when it is far ahead.
   *
   * @param now the time that the last heartbeat of this run had
   */
  endOverdue(since: Date, now: Date): Promise<CrashedRun[]> {
    const silence = '(expires_at - heartbeat_at)';
    const spoke = `CASE WHEN heartbeat_at > $2::timestamptz + ${silence} THEN $3::timestamptz ELSE greatest(heartbeat_at, $3) END`;
    return this.endCrashed(`${spoke} + ${silence} <= $2`, [now, since]);
  }

  private async endCrashed(which: string, values: Date[]): Promise<CrashedRun[]> {
    const [rows] = await this.runs.query<[CrashedRun[], number]>(
      `UPDATE service_runs SET ended_at = now(), outcome = 'crash'
       WHERE id <> $1 AND ended_at IS NULL AND ${which}
       RETURNING id, service_name, host, pid, version, started_at, heartbeat_at`,
      [this.id, ...values],
    );
    return rows;
  }

  /** Ends this run properly. */
  async end(): Promise<void> {
    await this.runs.query(`UPDATE service_runs SET ended_at = now(), outcome = 'shutdown' WHERE id = $1`, [this.id]);
  }

  /** Forgets runs that ended long ago. */
  async prune(): Promise<void> {
    await this.runs.query(`DELETE FROM service_runs WHERE ended_at < now() - interval '${KEPT_FOR}'`);
  }
}
