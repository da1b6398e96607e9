import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { EntityManager, Repository } from 'typeorm';
import { DatabaseClock } from './database-clock.entity';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** How far the clocks of the database and of the process may be apart, and how far a clock may go back. */
export const MAX_SKEW_MS = 5 * MINUTE_MS;

/** How far the clock may go on from one look to the next: while something runs there are several an hour. */
const MAX_GAP_MS = 2 * DAY_MS;

/** How long a clock that jumped must go on from there until it is believed. */
const PROBATION_MS = DAY_MS;

/** Why the database's clock is not believed. */
export interface ClockDoubt {
  /** In words for anybody. */
  reason: string;
  /** When it is believed unless it jumps again; `undefined` where that is not known. */
  until: Date | undefined;
}

type State = Pick<DatabaseClock, 'trustedAt' | 'doubtedSince' | 'doubtedAt'>;

const COLUMNS = `now() AS now, trusted_at AS "trustedAt", doubted_since AS "doubtedSince", doubted_at AS "doubtedAt"`;

/** Locks the row; makes it where it is missing. */
const LOCK = `
  INSERT INTO database_clock AS clock (id, trusted_at) VALUES (true, now())
  ON CONFLICT (id) DO UPDATE SET trusted_at = clock.trusted_at RETURNING ${COLUMNS}`;

/**
 * Tells whether the database's clock may decide what is old. A clock that is wrong for a moment would else have everything
 * deleted. It is in doubt
 *
 * - while it is more than 5 minutes from the clock of this process;
 * - when it went back by more than 5 minutes, or on by more than 2 days, since it was last looked at (every 10 minutes).
 *   The clock of an embedded database jumps together with that of the process. Whether it is right after a service was off
 *   for days, or a machine slept, cannot be told from here. So it must go on from there for 24 hours, which a clock that is
 *   set right meanwhile does not; then it is believed. One that comes back to where it was is believed at once.
 *
 * Each method throws what the driver says.
 */
@Injectable()
export class ClockService {
  constructor(@InjectRepository(DatabaseClock) private readonly clock: Repository<DatabaseClock>) {}

  /** Looks at the clock, in a transaction under way or by itself; what is found counts for the next look. */
  async look(manager?: EntityManager): Promise<ClockDoubt | undefined> {
    if (!manager) return this.clock.manager.transaction((within) => this.look(within));
    // The clock stands still in a transaction, which may have waited since it began.
    const [state] = await manager.query<[State & { now: Date }]>(LOCK);
    const apart = doubtOfSkew(state.now);
    if (apart) return apart;
    const next = nextState(state, state.now);
    await manager.query('UPDATE database_clock SET trusted_at = $1, doubted_since = $2, doubted_at = $3', [
      next.trustedAt,
      next.doubtedSince,
      next.doubtedAt,
    ]);
    return doubtOf(next);
  }

  /** What the next look would find. */
  async peek(): Promise<ClockDoubt | undefined> {
    const [state] = await this.clock.query<(State & { now: Date })[]>(`SELECT ${COLUMNS} FROM database_clock`);
    return state && (doubtOfSkew(state.now) ?? doubtOf(nextState(state, state.now)));
  }
}

function nextState(state: State, now: Date): State {
  if (follows(state.trustedAt, now)) return { trustedAt: now, doubtedSince: null, doubtedAt: null };
  const { doubtedSince, doubtedAt } = state;
  if (!doubtedSince || !doubtedAt || !follows(doubtedAt, now)) return { ...state, doubtedSince: now, doubtedAt: now };
  if (now.getTime() - doubtedSince.getTime() < PROBATION_MS) return { ...state, doubtedAt: now };
  return { trustedAt: now, doubtedSince: null, doubtedAt: null };
}

function follows(before: Date, now: Date): boolean {
  const ms = now.getTime() - before.getTime();
  return ms >= -MAX_SKEW_MS && ms <= MAX_GAP_MS;
}

function doubtOf({ trustedAt, doubtedSince }: State): ClockDoubt | undefined {
  if (!doubtedSince) return undefined;
  const until = new Date(doubtedSince.getTime() + PROBATION_MS);
  const reason = `The clock of the database went from ${trustedAt.toISOString()} to ${doubtedSince.toISOString()}, because it jumped or nothing was running; it is believed from ${until.toISOString()} on.`;
  return { reason, until };
}

function doubtOfSkew(now: Date): ClockDoubt | undefined {
  const ms = Math.abs(now.getTime() - Date.now());
  if (ms <= MAX_SKEW_MS) return undefined;
  return { reason: 'The clocks of the database and of this process are more than 5 minutes apart.', until: undefined };
}
