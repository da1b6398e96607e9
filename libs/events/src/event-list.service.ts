import { Inject, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { CacheService, CONFIG, DatabaseService, invalid, type Config } from '@app/platform';
import { typeKey } from './event-cache-keys';
import { countEvents } from './event-count';
import { decodeCursor, encodeCursor, type Sort } from './event-cursor';
import { fingerprint, toFilter } from './event-filter';
import type { EventFilterDto } from './event-filter.dto';
import { PageQueryDto, type ListEventsQueryDto } from './event-list.dto';
import type { PageRequest } from './event-order';
import { readPage } from './event-page';
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

/** Finds events. */
@Injectable()
export class EventListService {
  constructor(
    @InjectRepository(SystemEvent) private readonly events: Repository<SystemEvent>,
    private readonly database: DatabaseService,
    private readonly cache: CacheService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** @throws AppError `invalid`, `unavailable` */
  async list(query: ListEventsQueryDto): Promise<EventList> {
    const filter = toFilter(query);
    const [page, total] = await Promise.all([
      this.read(query, query, filter),
      query.count && countEvents(this.events, filter, query.count),
    ]);
    return { ...page, ...(total !== undefined && { total }) };
  }

  /** Newest first; the first page of the default size is cached. @throws AppError `invalid`, `unavailable` */
  async listByType(eventType: string, page: PageQueryDto): Promise<EventList> {
    const query = { event_type: [eventType] };
    const isFirst = page.limit === FIRST_PAGE.limit && !page.offset && page.cursor === undefined;
    if (!isFirst) return this.read(query, page);
    const cached = await this.cache.getOrLoad(typeKey(eventType), this.config.cache.ttlMs.type, async () => {
      const { json, next } = await this.read(query, page);
      return `${next}\n${json}`;
    });
    const end = cached.indexOf('\n');
    return { json: cached.slice(end + 1), next: cached.slice(0, end) };
  }

  private async read(query: EventFilterDto, paging: Paging, filter = toFilter(query)): Promise<EventList> {
    const print = fingerprint(query);
    const request = toPageRequest(paging, print);
    const { json, next } = await readPage(this.events, this.database.pool, filter, request);
    const cursor = next && encodeCursor({ sort: request.sort, fingerprint: print, position: next });
    return { json, next: cursor ?? '' };
  }
}

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
