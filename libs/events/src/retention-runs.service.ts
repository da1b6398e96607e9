import { Inject, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { CONFIG, type Config } from '@app/platform';
import { ClockService, MAX_SKEW_MS, type ClockDoubt } from './clock.service';
import { RetentionRun } from './retention-run.entity';

/** Key of the advisory lock under which a process begins a run: "evtr" in ASCII. */
const BEGIN_LOCK = 0x65_76_74_72;

/** Seconds without a chunk after which a run counts as broken off: many times what a chunk and its pause may take. */
const LEASE_SECONDS = 60;

/** Runs that are kept for who looks them up: 40 days of them, one an hour. */
const KEPT_RUNS = 1000;

/** A time that is not of a clock that was wrong; another process may have asked for it a little later. */
const notAhead = (time: string): string => `${time} <= now() + interval '${MAX_SKEW_MS} milliseconds'`;

/** When the next run may begin: some time after the end of the last one, and not while one is under way. */
const DUE = `(
  SELECT max(coalesce(ended_at + make_interval(secs => $1), expires_at)) FROM retention_runs
  WHERE ${notAhead('coalesce(ended_at, started_at)')})`;

/** A run that this process has begun. */
export interface BegunRun {
  id: string;
  startedAt: Date;
}

/** A run that came to its end. */
export interface EndedRun {
  endedAt: Date;
  deleted: number;
  ms: number;
}

interface EndedRow {
  startedAt: Date;
  endedAt: Date;
  deleted: string;
}

/**
 * The runs of retention as the database knows them, by its clock: so all processes share one schedule, and one of them
 * runs at a time. No lock is held between the statements of a run, only a lease: it would take a connection of the pool
 * out of use for minutes. Each method throws what the driver says.
 */
@Injectable()
export class RetentionRunsService {
  constructor(
    @InjectRepository(RetentionRun) private readonly runs: Repository<RetentionRun>,
    private readonly clock: ClockService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Begins a run where one is due, else `undefined`; or tells why the clock is in doubt, by which it would be. */
  begin(): Promise<BegunRun | ClockDoubt | undefined> {
    return this.runs.manager.transaction(async (manager) => {
      await manager.query('SELECT pg_advisory_xact_lock($1)', [BEGIN_LOCK]);
      // In one transaction there is one time: what was looked at is what the run counts back from.
      const doubt = await this.clock.look(manager);
      if (doubt) return doubt;
      const [run] = await manager.query<BegunRun[]>(
        `INSERT INTO retention_runs (started_at, expires_at)
         SELECT date_trunc('milliseconds', now()), now() + make_interval(secs => $2)
         WHERE coalesce(${DUE}, '-infinity') <= now()
         RETURNING id, started_at AS "startedAt"`,
        [this.intervalSeconds, LEASE_SECONDS],
      );
      if (run) await manager.query('DELETE FROM retention_runs WHERE id <= $1', [Number(run.id) - KEPT_RUNS]);
      return run;
    });
  }

  /** Milliseconds until it is worth while to ask `begin` again. */
  async dueInMs(): Promise<number> {
    const [row] = await this.runs.query<{ ms: number | null }[]>(
      `SELECT (extract(epoch FROM ${DUE} - now()) * 1000)::float8 AS ms`,
      [this.intervalSeconds],
    );
    return Math.max(0, Math.ceil(row?.ms ?? 0));
  }

  /** Says that a run goes on, and what it has deleted since; false when it took too long and was given up for lost. */
  async goOn({ id }: BegunRun, deleted: number): Promise<boolean> {
    const [, count] = await this.runs.query<[unknown[], number]>(
      `UPDATE retention_runs SET deleted = deleted + $2, expires_at = now() + make_interval(secs => $3)
       WHERE id = $1 AND expires_at > now()`,
      [id, deleted, LEASE_SECONDS],
    );
    return count === 1;
  }

  /** Ends a run that did all there was to do. */
  async end({ id }: BegunRun): Promise<EndedRun> {
    const [rows] = await this.runs.query<[EndedRow[], number]>(
      `UPDATE retention_runs SET ended_at = now() WHERE id = $1
       RETURNING started_at AS "startedAt", ended_at AS "endedAt", deleted`,
      [id],
    );
    const [row] = rows;
    if (!row) throw new Error('the run is no longer known');
    return toEnded(row);
  }

  /** Lets another run begin at once, in this or in another process. */
  async breakOff({ id }: BegunRun): Promise<void> {
    await this.runs.query('UPDATE retention_runs SET expires_at = now() WHERE id = $1', [id]);
  }

  /** The last run that came to its end, and what time it is. */
  async last(): Promise<{ run: EndedRun | undefined; now: Date }> {
    const [row] = await this.runs.query<[{ now: Date } & (EndedRow | Record<keyof EndedRow, null>)]>(
      `SELECT now() AS now, run.* FROM (VALUES (1)) AS one LEFT JOIN (
         SELECT started_at AS "startedAt", ended_at AS "endedAt", deleted FROM retention_runs
         WHERE ${notAhead('ended_at')} ORDER BY id DESC LIMIT 1
       ) AS run ON true`,
    );
    return { run: row.endedAt ? toEnded(row) : undefined, now: row.now };
  }

  private get intervalSeconds(): number {
    return this.config.retention.intervalMs / 1000;
  }
}

function toEnded({ startedAt, endedAt, deleted }: EndedRow): EndedRun {
  return { endedAt, deleted: Number(deleted), ms: endedAt.getTime() - startedAt.getTime() };
}
