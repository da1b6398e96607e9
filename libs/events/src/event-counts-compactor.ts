import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { PoolClient } from 'pg';
import { BackgroundTask, DatabaseService } from '@app/platform';

/** Milliseconds to the next run after one that found deltas; they double while there are none, up to the longest. */
const PAUSE_MS = { first: 1000, longest: 5000 };

/** Deltas folded in one statement: some tenths of a second. */
const CHUNK = 50_000;

/** Key of the advisory lock that the one compacting process holds: "evtc" in ASCII. */
const COMPACTION_LOCK = 0x65_76_74_63;

const KEY = 'event_type, severity, source';

const FOLD = `
  WITH folded AS (
    DELETE FROM event_count_deltas WHERE ctid = ANY (ARRAY(SELECT ctid FROM event_count_deltas LIMIT ${CHUNK}))
    RETURNING *
  ), totals AS (
    INSERT INTO event_totals AS total (${KEY}, events)
    SELECT ${KEY}, sum(events) FROM folded GROUP BY ${KEY} HAVING sum(events) <> 0
    ON CONFLICT (${KEY}) DO UPDATE SET events = total.events + excluded.events
    RETURNING events
  ), minutes AS (
    INSERT INTO event_minutes AS total (minute, severity, events)
    SELECT minute, severity, sum(events) FROM folded GROUP BY minute, severity HAVING sum(events) <> 0
    ON CONFLICT (minute, severity) DO UPDATE SET events = total.events + excluded.events
    RETURNING minute, events
  )
  SELECT (SELECT count(*) FROM folded)::int AS folded,
    EXISTS (SELECT FROM totals WHERE events = 0) AS "hasEmptyTotals",
    (SELECT min(minute) FROM minutes WHERE events = 0)::text AS "firstEmptyMinute",
    (SELECT max(minute) FROM minutes WHERE events = 0)::text AS "lastEmptyMinute"`;

interface Folded {
  folded: number;
  hasEmptyTotals: boolean;
  firstEmptyMinute: string | null;
  lastEmptyMinute: string | null;
}

/**
 * Folds what the triggers appended into the totals, in the background, so that reading the counts stays fast. When and
 * whether it runs changes no count; of several processes at once one does it.
 */
@Injectable()
export class EventCountsCompactor implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly task = new BackgroundTask('compaction of the counts of events', PAUSE_MS.longest, (signal) =>
    this.compact(signal),
  );
  private pauseMs = PAUSE_MS.first;
  /** Deltas removed since their table was vacuumed. */
  private removed = 0;

  constructor(private readonly database: DatabaseService) {}

  onApplicationBootstrap(): void {
    this.task.start();
  }

  onApplicationShutdown(): Promise<void> {
    return this.task.stop();
  }

  private async compact(signal: AbortSignal): Promise<number> {
    let folded = CHUNK;
    let total = 0;
    while (folded === CHUNK && !signal.aborted) {
      folded = await this.database.transaction(foldChunk);
      total += folded;
    }
    this.removed += total;
    if (this.removed >= CHUNK) {
      // Autovacuum may come too late, and a read passes over every row that was removed.
      await this.database.pool.query('VACUUM event_count_deltas');
      this.removed = 0;
    }
    this.pauseMs = total > 0 ? PAUSE_MS.first : Math.min(this.pauseMs * 2, PAUSE_MS.longest);
    return this.pauseMs;
  }
}

async function foldChunk(connection: PoolClient): Promise<number> {
  const {
    rows: [lock],
  } = await connection.query<{ taken: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS taken', [COMPACTION_LOCK]);
  if (!lock?.taken) return 0;
  const {
    rows: [result],
  } = await connection.query<Folded>(FOLD);
  if (result?.hasEmptyTotals) await connection.query('DELETE FROM event_totals WHERE events = 0');
  if (result?.firstEmptyMinute) {
    await connection.query('DELETE FROM event_minutes WHERE events = 0 AND minute BETWEEN $1 AND $2', [
      result.firstEmptyMinute,
      result.lastEmptyMinute,
    ]);
  }
  return result?.folded ?? 0;
}
