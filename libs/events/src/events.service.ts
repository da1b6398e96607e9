import { Inject, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { QueryDeepPartialEntity, Repository } from 'typeorm';
import {
  AppError,
  CacheService,
  CONFIG,
  DatabaseService,
  invalid,
  preconditionHolds,
  Statement,
  type Config,
  type Connection,
  type IdempotencyKey,
} from '@app/platform';
import { eventKey, STATS_KEY, typeKey } from './event-cache-keys';
import { EventQuotas } from './event-quotas';
import { etagOf, EVENT_JSON, type StoredEvent } from './event-json';
import { SEVERITIES, SystemEvent } from './event.entity';
import type { NewEvent } from './event-store';
import { EventWriter } from './event-writer';
import type { Answer } from './idempotency.service';
import { KeyedEventWriter } from './keyed-event-writer';
import type { UpdateEventDto } from './events.dto';
import { STATS_SQL } from './stats-sql';
import { parseTimestamp } from './timestamp';

interface ReturnedRow {
  id: string;
  version: string;
  json: string;
}

interface LockedRow {
  version: string;
  eventType: string;
  severity: string;
}

const LOCK_EVENT = new Statement<LockedRow>(
  'lock-event',
  'SELECT version, event_type AS "eventType", severity FROM system_events WHERE id = $1 FOR UPDATE',
);
const DELETE_EVENT = new Statement<Record<string, never>>('delete-event', 'DELETE FROM system_events WHERE id = $1');
const READ_STATS = new Statement<{ json: string }>('read-stats', STATS_SQL);
const RETURNING = `id, version, ${EVENT_JSON} AS json`;
/** The rules of events: what is stored, found, changed and counted, and what the cache must forget. */
@Injectable()
export class EventsService {
  constructor(
    @InjectRepository(SystemEvent) private readonly events: Repository<SystemEvent>,
    private readonly database: DatabaseService,
    private readonly writer: EventWriter,
    private readonly keyedWriter: KeyedEventWriter,
    private readonly cache: CacheService,
    private readonly quotas: EventQuotas,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Stores an event; when this returns, it is committed. @throws AppError `invalid`, `unavailable` */
  create(event: NewEvent): Promise<StoredEvent> {
    return this.writer.write(event);
  }

  /**
   * Stores an event, or repeats the answer that the key had before.
   *
   * @throws AppError `conflict` while the key is under way, `invalid`, `unavailable`
   */
  createOnce(event: NewEvent, key: IdempotencyKey): Promise<Answer> {
    return this.keyedWriter.write(event, key);
  }

  /** @throws AppError `not_found`, `unavailable` */
  async get(id: number): Promise<StoredEvent> {
    const cached = await this.cache.getOrLoad(eventKey(id), this.config.cache.ttlMs.event, async () => {
      const { version, json } = await this.load(id);
      return `${version}\n${json}`;
    });
    const end = cached.indexOf('\n');
    return { id, version: cached.slice(0, end), json: cached.slice(end + 1) };
  }

  /**
   * Changes what `changes` names and nothing else.
   *
   * @param ifMatch the `If-Match` header
   * @throws AppError `not_found`, `precondition_failed`; `invalid` for an adopted event whose severity must change along;
   *   `unavailable`, also when it is locked for long
   */
  async update(id: number, changes: UpdateEventDto, ifMatch?: string): Promise<StoredEvent> {
    const columns = toColumns(changes);
    if (Object.keys(columns).length === 0) {
      const current = await this.load(id);
      requireMatch(current, ifMatch);
      return current;
    }
    const keys = new Set([eventKey(id), STATS_KEY]);
    if (changes.event_type !== undefined) keys.add(typeKey(changes.event_type));
    return this.changing(id, keys, async (connection) => {
      const previous = await lock(connection, id, ifMatch);
      keys.add(typeKey(previous.eventType));
      requireSeverity(previous, changes);
      const [sql, parameters] = this.events
        .createQueryBuilder()
        .update()
        .set({ ...columns, version: () => 'version + 1', updatedAt: () => 'clock_timestamp()' })
        .where('id = :id', { id })
        .returning(RETURNING)
        .getQueryAndParameters();
      return firstRow(await new Statement<ReturnedRow>(undefined, sql).run(connection, parameters));
    });
  }

  /** @throws AppError `not_found`, `precondition_failed`; `unavailable`, also when it is locked for long */
  async delete(id: number, ifMatch?: string): Promise<void> {
    const keys = new Set([eventKey(id), STATS_KEY]);
    await this.changing(id, keys, async (connection) => {
      const previous = await lock(connection, id, ifMatch);
      keys.add(typeKey(previous.eventType));
      await DELETE_EVENT.run(connection, [id]);
    });
  }

  /** The counts as JSON text. @throws AppError `unavailable` */
  stats(): Promise<string> {
    const load = async (): Promise<string> => {
      const [row] = await READ_STATS.run(this.database.pool, []);
      return row?.json ?? '{}';
    };
    return this.cache.getOrLoad(STATS_KEY, this.config.cache.ttlMs.stats, () => this.quotas.pages.run(load));
  }

  private changing<T>(
    id: number,
    keys: ReadonlySet<string>,
    change: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const { lockTimeoutMs } = this.config.database;
    return this.cache.changing(keys, (announce) => {
      const changeAndAnnounce = async (connection: Connection): Promise<T> => {
        const result = await change(connection);
        await announce();
        return result;
      };
      return this.quotas.changes.run(() => this.database.transaction(changeAndAnnounce, { lockTimeoutMs }), {
        key: id,
      });
    });
  }

  private async load(id: number): Promise<StoredEvent> {
    const row = await this.events
      .createQueryBuilder('event')
      .select('event.version', 'version')
      .addSelect(EVENT_JSON, 'json')
      .where('event.id = :id', { id })
      .getRawOne<Omit<ReturnedRow, 'id'>>();
    if (!row) throw notFound(id);
    return { id, ...row };
  }
}

// Locked, so that the version that was compared is the one that is changed.
async function lock(connection: Connection, id: number, ifMatch: string | undefined): Promise<LockedRow> {
  const [event] = await LOCK_EVENT.run(connection, [id]);
  if (!event) throw notFound(id);
  requireMatch({ id, version: event.version }, ifMatch);
  return event;
}

function toColumns(event: UpdateEventDto): QueryDeepPartialEntity<SystemEvent> {
  const { event_type, severity, message, details, source, timestamp } = event;
  return {
    ...(event_type !== undefined && { eventType: event_type }),
    ...(severity !== undefined && { severity }),
    ...(message !== undefined && { message }),
    ...(details !== undefined && { details: details as QueryDeepPartialEntity<SystemEvent>['details'] }),
    ...(source !== undefined && { source }),
    ...(timestamp !== undefined && { timestamp: parseTimestamp(timestamp) }),
  };
}

function firstRow([row]: ReturnedRow[]): StoredEvent {
  if (!row) throw new Error('the statement returned no row');
  return { ...row, id: Number(row.id) };
}

function requireMatch(event: Pick<StoredEvent, 'id' | 'version'>, ifMatch: string | undefined): void {
  if (!preconditionHolds(ifMatch, etagOf(event))) {
    throw new AppError('precondition_failed', `Event ${event.id} was changed meanwhile; read it again.`);
  }
}

// The database would refuse it as well, without a word on why.
function requireSeverity({ severity }: LockedRow, changes: UpdateEventDto): void {
  if (changes.severity !== undefined || SEVERITIES.some((known) => known === severity)) return;
  const detail = `severity must be given along: this event of an earlier backend has "${severity}", which none may have any more; it must be one of ${SEVERITIES.join(', ')}`;
  throw invalid([{ detail, pointer: '#/severity' }]);
}

function notFound(id: number): AppError {
  return new AppError('not_found', `Event ${id} not found`);
}
