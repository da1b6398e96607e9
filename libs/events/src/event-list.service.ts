import { Inject, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { CacheService, CONFIG, DatabaseService, invalid, type Config } from '@app/platform';
import { typeKey } from './event-cache-keys';
import { countEvents } from './event-count';
import { isCountedByKey, isCountedByMinute } from './event-counts';
import { decodeCursor, encodeCursor, type Position, type Sort } from './event-cursor';
import { fingerprint, toFilter, type EventFilter } from './event-filter';
import type { EventFilterDto } from './event-filter.dto';
import { PageQueryDto, type ListEventsQueryDto } from './event-list.dto';
import { positionBehind, type PageRequest } from './event-order';
import { readPage, type EventPage } from './event-page';
import { EventQuotas } from './event-quotas';
import { EventScans } from './event-scans';
import { SystemEvent } from './event.entity';

/** A page of a listing, ready to leave. */
export interface EventList {
  /** A JSON array. */
  json: string;
  /** The cursor of the page after it; empty on the last one. */
  next: string;
  /** How many events the filters find, if it was asked for. */
  total?: number;
}

type Paging = Pick<ListEventsQueryDto, 'limit' | 'offset' | 'cursor' | 'sort'>;

/** Offsets up to this are passed over with the page; a larger one is a read by itself. */
const DEEP_OFFSET = 1000;

type HasLeft = () => boolean;

/** Finds events. */
@Injectable()
export class EventListService {
  constructor(
    @InjectRepository(SystemEvent) private readonly events: Repository<SystemEvent>,
    private readonly database: DatabaseService,
    private readonly cache: CacheService,
    private readonly quotas: EventQuotas,
    private readonly scans: EventScans,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /**
   * @param hasLeft whether the client is gone: what it still waits for does not run
   * @throws AppError `invalid`, `unavailable`
   */
  async list(query: ListEventsQueryDto, hasLeft: HasLeft): Promise<EventList> {
    const [page, total] = await Promise.all([this.read(query, query, hasLeft), this.count(query, hasLeft)]);
    return { ...page, ...(total !== undefined && { total }) };
  }

  /** Newest first; the first page of the default size is cached. @throws AppError `invalid`, `unavailable` */
  async listByType(eventType: string, page: PageQueryDto, hasLeft: HasLeft): Promise<EventList> {
    const query = { event_type: [eventType] };
    const isFirst = page.limit === FIRST_PAGE.limit && !page.offset && page.cursor === undefined;
    if (!isFirst) return this.read(query, page, hasLeft);
    const load = async (): Promise<string> => {
      const { json, next } = await this.read(query, page);
      return `${next}\n${json}`;
    };
    const cached = await this.cache.getOrLoad(typeKey(eventType), this.config.cache.ttlMs.type, load, hasEvents);
    const end = cached.indexOf('\n');
    return { json: cached.slice(end + 1), next: cached.slice(0, end) };
  }

  private async count(query: ListEventsQueryDto, hasLeft: HasLeft): Promise<number | undefined> {
    if (query.count === undefined) return undefined;
    const filter = toFilter(query);
    const isKept = isCountedByKey(filter) || isCountedByMinute(filter);
    if (query.count === 'estimated' || isKept) {
      return this.quotas.pages.run(() => countEvents(this.events, filter, query.count ?? 'exact'));
    }
    const count = async (): Promise<string> => String(await countEvents(this.events, toFilter(query), 'exact'));
    return Number(await this.scans.read('count', fingerprint(query), count, hasLeft));
  }

  private async read(query: EventFilterDto, paging: Paging, hasLeft?: HasLeft): Promise<EventList> {
    const print = fingerprint(query);
    const request = toPageRequest(paging, print);
    const filter = toFilter(query);
    const { json, next } = await (request.offset > DEEP_OFFSET
      ? this.readBehind(query, filter, request, hasLeft)
      : this.readPage(filter, request, hasLeft));
    const cursor = next && encodeCursor({ sort: request.sort, fingerprint: print, position: next });
    return { json, next: cursor ?? '' };
  }

  private readPage(filter: EventFilter, request: OffsetRequest, isAbandoned?: HasLeft): Promise<EventPage> {
    return this.quotas.pages.run(() => readPage(this.events, this.database.pool, filter, request), { isAbandoned });
  }

  private async readBehind(
    query: EventFilterDto,
    filter: EventFilter,
    request: OffsetRequest,
    hasLeft?: HasLeft,
  ): Promise<EventPage> {
    const { sort, offset } = request;
    const find = async (): Promise<string> =>
      JSON.stringify((await positionBehind(this.events, toFilter(query), sort, offset)) ?? null);
    const found = await this.scans.read('offset', [fingerprint(query), sort, offset], find, hasLeft);
    const after = JSON.parse(found) as Position | null;
    if (!after) return { json: '[]', next: undefined };
    return this.readPage(filter, { ...request, after, offset: 0 }, hasLeft);
  }
}

type OffsetRequest = PageRequest & { offset: number };

// There is no end of types without an event, and their pages cost the database little.
const hasEvents = (cached: string): boolean => !cached.endsWith('\n[]');

const FIRST_PAGE = new PageQueryDto();
const NEWEST_FIRST: Sort = '-timestamp';

function toPageRequest({ limit, offset, cursor, sort }: Paging, print: string): PageRequest & { offset: number } {
  if (cursor === undefined) return { limit, sort: sort ?? NEWEST_FIRST, after: undefined, offset: offset ?? 0 };
  if (offset !== undefined) throw refusedCursor('must not be given together with offset');
  const decoded = decodeCursor(cursor);
  if (decoded?.fingerprint !== print) throw refusedCursor('belongs to other filters');
  if (sort !== undefined && sort !== decoded.sort) throw refusedCursor('belongs to another sort');
  return { limit, sort: decoded.sort, after: decoded.position, offset: 0 };
}

function refusedCursor(problem: string): Error {
  return invalid([{ detail: `cursor ${problem}`, parameter: 'cursor' }]);
}
