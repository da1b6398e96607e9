import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { EntityManager, Repository, SelectQueryBuilder } from 'typeorm';
import { AppError, CacheService, databaseFault, invalid } from '@app/platform';
import { eventKey, STATS_KEY, typeKey } from './event-cache-keys';
import { countEvents } from './event-count';
import type { Position } from './event-cursor';
import type { DeleteEventsQueryDto } from './event-deletion.dto';
import { isSelective, toFilter, type EventFilter } from './event-filter';
import { MILLISECONDS, readInOrder } from './event-order';
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

/** Deletes events by filters, in chunks that are a transaction each, the oldest first. */
@Injectable()
export class EventDeletionService {
  constructor(
    @InjectRepository(SystemEvent) private readonly events: Repository<SystemEvent>,
    private readonly cache: CacheService,
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
    if (query.dry_run) return countEvents(this.events, filter, 'exact');
    const lastId = await this.lastId();
    let deleted = 0;
    let after: Position | undefined;
    try {
      do {
        const chunk = await this.deleteChunk(filter, { after, lastId });
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
   * @throws AppError `unavailable`: whether they were deleted is not known then
   */
  async deleteChunk(filter: EventFilter, { after, lastId }: ChunkRange = {}): Promise<DeletedChunk> {
    const keys = new Set([STATS_KEY]);
    return this.cache.changing(keys, (announce) =>
      this.events.manager.transaction(async (manager) => {
        const rows = await lockOldest(manager, filter, { after, lastId });
        for (const { id, eventType } of rows) keys.add(eventKey(Number(id))).add(typeKey(eventType));
        const last = rows.length === CHUNK_EVENTS ? rows.at(-1) : undefined;
        const deleted = await deleteRows(manager, rows);
        await announce();
        return { deleted, next: last && { timestamp: last.milliseconds, id: Number(last.id) } };
      }),
    );
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

// Locked before they are deleted: what another change has meanwhile taken out of the filter is not among them. Always in
// this order, so that deletions at once wait for each other and never in a circle.
async function lockOldest(
  manager: EntityManager,
  filter: EventFilter,
  { after, lastId }: ChunkRange,
): Promise<LockedRow[]> {
  const query = (): SelectQueryBuilder<SystemEvent> => {
    const found = manager
      .createQueryBuilder(SystemEvent, 'event')
      .select('event.id', 'id')
      .addSelect('event.event_type', 'eventType')
      .addSelect(MILLISECONDS, 'milliseconds')
      .setLock('pessimistic_write');
    return lastId === undefined ? found : found.andWhere('event.id <= :lastId', { lastId });
  };
  const request = { limit: CHUNK_EVENTS, sort: 'timestamp', after } as const;
  const { rows } = await readInOrder(query, filter, request, async (selection) => {
    const rows = await selection.getRawMany<LockedRow>();
    return { rows, found: rows.length };
  });
  return rows;
}

async function deleteRows(manager: EntityManager, rows: LockedRow[]): Promise<number> {
  if (rows.length === 0) return 0;
  const { affected } = await manager
    .createQueryBuilder()
    .delete()
    .from(SystemEvent)
    .where('id = ANY (CAST(:ids AS bigint[]))', { ids: rows.map(({ id }) => id) })
    .execute();
  return affected ?? 0;
}

function interrupted(error: unknown, deleted: number): unknown {
  const fault = databaseFault(error) ?? error;
  if (!(fault instanceof AppError) || fault.kind !== 'unavailable' || deleted === 0) return fault;
  return new AppError('unavailable', `${fault.message} ${deleted} events were deleted before.`, {
    cause: fault.cause,
  });
}
