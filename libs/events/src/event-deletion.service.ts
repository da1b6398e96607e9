import { Inject, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository, SelectQueryBuilder } from 'typeorm';
import {
  AppError,
  CacheService,
  CONFIG,
  databaseFault,
  DatabaseService,
  invalid,
  Statement,
  type Config,
  type Connection,
} from '@app/platform';
import { eventKey, STATS_KEY, typeKey } from './event-cache-keys';
import { countEvents } from './event-count';
import type { Position } from './event-cursor';
import type { DeleteEventsQueryDto } from './event-deletion.dto';
import { fingerprint, isSelective, toFilter, type EventFilter } from './event-filter';
import { MILLISECONDS, readInOrder } from './event-order';
import { EventQuotas } from './event-quotas';
import { EventScans } from './event-scans';
import { SystemEvent } from './event.entity';

/** Events of one transaction: it holds its locks for some milliseconds and stays far from the limit of a statement. */
const CHUNK_EVENTS = 1000;

const FILTERS = [
  ...['since', 'until', 'event_type', 'severity', 'min_severity', 'source', 'q'],
  'details[<path>]',
  'detail',
];

/** Which events a chunk may take beside the filter. */
export interface ChunkRange {
  /** Behind this event, in the order of time. */
  after?: Position | undefined;
  /** Up to this id: a deletion would else not end while such events are stored. */
  lastId?: number;
  /** Whether it waits for its turn however long that takes. */
  isPatient?: boolean;
}

/** What a chunk did. */
export interface DeletedChunk {
  deleted: number;
  /** The last event of the chunk, when there may be more behind it. */
  next: Position | undefined;
}

interface LockedRow {
  id: string;
  eventType: string;
  milliseconds: number;
}

const DELETE_EVENTS = new Statement<{ count: number }>(
  'delete-events',
  `WITH deleted AS (DELETE FROM system_events WHERE id = ANY ($1::bigint[]) RETURNING id)
   SELECT count(*)::int AS count FROM deleted`,
);

/** Deletes events by filters, in chunks that are a transaction each, the oldest first. */
@Injectable()
export class EventDeletionService {
  constructor(
    @InjectRepository(SystemEvent) private readonly events: Repository<SystemEvent>,
    private readonly database: DatabaseService,
    private readonly cache: CacheService,
    private readonly quotas: EventQuotas,
    private readonly scans: EventScans,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * Deletes what the filters find of the events that are stored now, and tells how many that were; with `dry_run` it
   * only counts them.
   *
   * @param isAbandoned whether nobody waits for the answer any more; no further chunk is begun then
   * @throws AppError `invalid`, also without any filter; `unavailable`, its message tells what was deleted before
   */
  async delete(query: DeleteEventsQueryDto, isAbandoned: () => boolean): Promise<number> {
    const filter = toFilter(query);
    if (!isSelective(filter)) throw filterRequired();
    if (query.dry_run) return this.count(query, isAbandoned);
    const lastId = await this.lastId();
    let deleted = 0;
    let after: Position | undefined;
    try {
      do {
        const chunk = await this.deleteChunk(filter, { after, lastId, isPatient: after !== undefined });
        deleted += chunk.deleted;
        after = chunk.next;
      } while (after && !isAbandoned());
    } catch (error) {
      throw interrupted(error, deleted);
    }
    return deleted;
  }

  /**
   * Deletes the oldest events that a filter finds in a range, at most 1000, and makes what is cached of them void.
   *
   * @throws AppError `unavailable`, also when one of them is locked for long: whether they were deleted is not known then
   */
  async deleteChunk(filter: EventFilter, { isPatient, ...range }: ChunkRange = {}): Promise<DeletedChunk> {
    const { lockTimeoutMs } = this.config.database;
    const keys = new Set([STATS_KEY]);
    return this.cache.changing(keys, (announce) => {
      const deleteOldest = async (connection: Connection): Promise<DeletedChunk> => {
        const rows = await this.lockOldest(connection, filter, range);
        for (const { id, eventType } of rows) keys.add(eventKey(Number(id))).add(typeKey(eventType));
        const last = rows.length === CHUNK_EVENTS ? rows.at(-1) : undefined;
        const deleted = await deleteRows(connection, rows);
        await announce();
        return { deleted, next: last && { timestamp: last.milliseconds, id: Number(last.id) } };
      };
      return this.quotas.changes.run(() => this.database.transaction(deleteOldest, { lockTimeoutMs }), {
        ...(isPatient && { isPatient }),
      });
    });
  }

  private async count(query: DeleteEventsQueryDto, hasLeft: () => boolean): Promise<number> {
    const count = async (): Promise<string> => String(await countEvents(this.events, toFilter(query), 'exact'));
    return Number(await this.scans.read('count', fingerprint(query), count, hasLeft));
  }

  // Locked before they are deleted: what another change has meanwhile taken out of the filter is not among them. Always
  // in this order, so that deletions at once wait for each other and never in a circle.
  private async lockOldest(
    connection: Connection,
    filter: EventFilter,
    { after, lastId }: ChunkRange,
  ): Promise<LockedRow[]> {
    const query = (): SelectQueryBuilder<SystemEvent> => {
      const found = this.events
        .createQueryBuilder('event')
        .select('event.id', 'id')
        .addSelect('event.event_type', 'eventType')
        .addSelect(MILLISECONDS, 'milliseconds')
        .setLock('pessimistic_write');
      return lastId === undefined ? found : found.andWhere('event.id <= :lastId', { lastId });
    };
    const request = { limit: CHUNK_EVENTS, sort: 'timestamp', after } as const;
    const { rows } = await readInOrder(query, filter, request, async (selection) => {
      const [sql, parameters] = selection.getQueryAndParameters();
      const rows = await new Statement<LockedRow>(undefined, sql).run(connection, parameters);
      return { rows, found: rows.length };
    });
    return rows;
  }

  private async lastId(): Promise<number> {
    const row = await this.events.createQueryBuilder().select('max(id)', 'id').getRawOne<{ id: string | null }>();
    return Number(row?.id ?? 0);
  }
}

/** The error for a deletion without any filter: a misspelt one must not delete everything. */
export function filterRequired(): AppError {
  return invalid([{ detail: `at least one filter is required: ${FILTERS.join(', ')}`, parameter: 'since' }]);
}

async function deleteRows(connection: Connection, rows: LockedRow[]): Promise<number> {
  if (rows.length === 0) return 0;
  const deleted = await DELETE_EVENTS.run(connection, [rows.map(({ id }) => id)]);
  return deleted[0]?.count ?? 0;
}

function interrupted(error: unknown, deleted: number): unknown {
  const fault = databaseFault(error) ?? error;
  if (!(fault instanceof AppError) || fault.kind !== 'unavailable' || deleted === 0) return fault;
  return new AppError('unavailable', `${fault.message} ${deleted} events were deleted before.`, {
    cause: fault.cause,
  });
}
