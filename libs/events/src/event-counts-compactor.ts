import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { PoolClient } from 'pg';
import { BackgroundTask, DatabaseService } from '@app/platform';

/** Milliseconds to the next run after one that found deltas; they double while there are none, up to the longest. */
const PAUSE_MS = { first: 1000, longest: 5000 };

/**
 * Deltas folded in one statement: a tenth of a second where they are alike, a second or two where each has a source of
 * its own; what is left comes next. Where that is longer than a statement may take, a quarter is tried, down to the
 * fewest.
 */
const CHUNK = { most: 20_000, fewest: 100 };

/** Rows removed from the table of deltas before it is vacuumed. */
const VACUUM_AFTER = 50_000;

/** Key of the advisory lock that the one compacting process holds: "evtc" in ASCII. */
const COMPACTION_LOCK = 0x65_76_74_63;

const KEY = 'event_type, severity, source';

const FOLD = `
  WITH folded AS (
    DELETE FROM event_count_deltas WHERE ctid = ANY (ARRAY(SELECT ctid FROM event_count_deltas LIMIT $1))
    RETURNING *
  ), keys AS (
    SELECT ${KEY}, sum(events) AS events FROM folded GROUP BY ${KEY} HAVING sum(events) <> 0
  ), totals AS (
    INSERT INTO event_totals AS total (${KEY}, events) SELECT ${KEY}, events FROM keys
    ON CONFLICT (${KEY}) DO UPDATE SET events = total.events + excluded.events
    RETURNING ctid, events
  ), value_totals AS (
    INSERT INTO event_value_totals AS total (field, value, severity, events)
    SELECT field, value, counted.severity, sum(events) FROM keys,
      LATERAL (VALUES ('event_type', event_type), ('severity', keys.severity), ('source', source)) AS named (field, value),
      LATERAL (VALUES (keys.severity), (NULL)) AS counted (severity)
    GROUP BY 1, 2, 3 HAVING sum(events) <> 0 ORDER BY 1, 2, 3
    ON CONFLICT (field, value, severity) DO UPDATE SET events = total.events + excluded.events
    RETURNING ctid, events
  ), minutes AS (
    INSERT INTO event_minutes AS total (minute, severity, events)
    SELECT minute, severity, sum(events) FROM folded GROUP BY minute, severity HAVING sum(events) <> 0
    ON CONFLICT (minute, severity) DO UPDATE SET events = total.events + excluded.events
    RETURNING minute, events
  )
  SELECT (SELECT count(*) FROM folded)::int AS folded,
    (SELECT array_agg(ctid) FROM totals WHERE events = 0)::text AS "emptyTotals",
    (SELECT array_agg(ctid) FROM value_totals WHERE events = 0)::text AS "emptyValueTotals",
    (SELECT min(minute) FROM minutes WHERE events = 0)::text AS "firstEmptyMinute",
    (SELECT max(minute) FROM minutes WHERE events = 0)::text AS "lastEmptyMinute"`;

interface Folded {
  folded: number;
  /** Where the rows are, as an array of PostgreSQL; nobody else moves them before the transaction ends. */
  emptyTotals: string | null;
  emptyValueTotals: string | null;
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
  /** Deltas folded in one statement now. */
  private chunk = CHUNK.most;
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
    let total = 0;
    for (let isMore = true; isMore && !signal.aborted;) {
      const some = await this.foldSome(this.chunk);
      total += some.folded;
      isMore = some.isMore;
    }
    this.removed += total;
    if (this.removed >= VACUUM_AFTER) {
      // Autovacuum may come too late, and a read passes over every row that was removed.
      await this.database.pool.query('VACUUM event_count_deltas');
      // The plans that are kept are those of a small table until then. Autovacuum, which is cancelled for whoever waits
      // for it, goes first.
      await this.database.pool.query('ANALYZE (SKIP_LOCKED) event_totals, event_value_totals');
      this.removed = 0;
    }
    this.pauseMs = total > 0 ? PAUSE_MS.first : Math.min(this.pauseMs * 2, PAUSE_MS.longest);
    return this.pauseMs;
  }

  private async foldSome(chunk: number): Promise<{ folded: number; isMore: boolean }> {
    try {
      const folded = await this.database.transaction((connection) => foldChunk(connection, chunk));
      this.chunk = Math.min(chunk * 2, CHUNK.most);
      return { folded, isMore: folded === chunk };
    } catch (error) {
      if (chunk === CHUNK.fewest) throw error;
      this.chunk = Math.max(chunk >> 2, CHUNK.fewest);
      return this.foldSome(this.chunk);
    }
  }
}

/** Folds at most so many deltas. @returns how many it were */
async function foldChunk(connection: PoolClient, chunk: number): Promise<number> {
  const {
    rows: [lock],
  } = await connection.query<{ taken: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS taken', [COMPACTION_LOCK]);
  if (!lock?.taken) return 0;
  const {
    rows: [result],
  } = await connection.query<Folded>(FOLD, [chunk]);
  if (result?.emptyTotals) await removeEmpty(connection, 'event_totals', result.emptyTotals);
  if (result?.emptyValueTotals) await removeEmpty(connection, 'event_value_totals', result.emptyValueTotals);
  if (result?.firstEmptyMinute) {
    await connection.query('DELETE FROM event_minutes WHERE events = 0 AND minute BETWEEN $1 AND $2', [
      result.firstEmptyMinute,
      result.lastEmptyMinute,
    ]);
  }
  return result?.folded ?? 0;
}

async function removeEmpty(connection: PoolClient, table: string, places: string): Promise<void> {
  await connection.query(`DELETE FROM ${table} WHERE ctid = ANY ($1::tid[]) AND events = 0`, [places]);
}
