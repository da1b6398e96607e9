import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import type { Position, Sort } from './event-cursor';
import type { ExportEventsQueryDto } from './event-export.dto';
import { EXPORT_FILES, type ExportedRow, type ExportFile } from './event-export-format';
import { applyFilter, toFilter, type EventFilter } from './event-filter';
import { EVENT_JSON } from './event-json';
import { goOn, MILLISECONDS } from './event-order';
import { EventQuotas } from './event-quotas';
import { SystemEvent } from './event.entity';

/** Characters that are read at once, and one event more: what an export needs of memory, some times over. */
const PAGE_CHARACTERS = 1024 * 1024;

/** Events that are read at once at most; of the first page, whose size nobody knows yet, and of the others. */
const PAGE_EVENTS = { first: 100, most: 1000 };

/** An export that has begun. */
export interface EventExport {
  fileName: string;
  mediaType: string;
  /** The file; it fails, rather than ends, when the database does. */
  content: Readable;
}

/** What is exported, from its first page to its last. */
interface Selection {
  filter: EventFilter;
  sort: Sort;
  /** The newest id when it began: an export of what is stored while it runs would not end. */
  lastId: string;
  /** Whether `details` are needed by themselves. */
  withDetails: boolean;
}

interface Page {
  rows: ExportedRow[];
  /** How many events the next page should have, and behind which; `undefined` after the last page. */
  next: { limit: number; after: Position } | undefined;
}

interface Row extends ExportedRow {
  id: string;
  milliseconds: number;
  /** How many events the page could have had. */
  found: number;
}

/** Writes all that filters find into one file, however much it is. */
@Injectable()
export class EventExportService {
  constructor(
    @InjectRepository(SystemEvent) private readonly events: Repository<SystemEvent>,
    private readonly quotas: EventQuotas,
  ) {}

  /**
   * Begins an export of what is stored now. It is read page by page as the file is read, each page by a statement of
   * its own: an event whose time is changed meanwhile may be missing or stand there twice, one deleted may be missing.
   *
   * @throws AppError `invalid`; `unavailable`, for the first page
   */
  async export({ format, sort, ...query }: ExportEventsQueryDto): Promise<EventExport> {
    const now = new Date();
    const selection = {
      filter: toFilter(query, now),
      sort,
      lastId: await this.lastId(),
      withDetails: format === 'csv',
    };
    const file = EXPORT_FILES[format];
    // Read before anything is sent, so that a database that is away is a 503.
    const first = await this.readPage(selection, PAGE_EVENTS.first);
    const content = Readable.from(this.write(file, selection, first), { objectMode: false });
    return { fileName: `events-${toFileStamp(now)}.${format}`, mediaType: file.mediaType, content };
  }

  private async *write(file: ExportFile, selection: Selection, first: Page): AsyncGenerator<string> {
    let separator = '';
    if (file.head !== '') yield file.head;
    for (let page = first; ; page = await this.readPage(selection, page.next.limit, page.next.after)) {
      if (page.rows.length > 0) yield separator + page.rows.map((row) => file.write(row)).join(file.separator);
      ({ separator } = file);
      if (!page.next) break;
    }
    if (file.foot !== '') yield file.foot;
  }

  private async readPage(selection: Selection, limit: number, after?: Position): Promise<Page> {
    // A page in the middle of the file is not refused: that would break the file off.
    const isPatient = after !== undefined;
    const rows = await this.quotas.scans.run(() => this.readRows(selection, limit, after), { isPatient });
    const last = rows.at(-1);
    // What did not fit into this page is found by the next one again.
    if (!last || (rows.length === last.found && rows.length < limit)) return { rows, next: undefined };
    const average = rows.reduce((sum, { json }) => sum + json.length, 0) / rows.length;
    const fitting = Math.ceil((2 * PAGE_CHARACTERS) / average);
    const position = { timestamp: last.milliseconds, id: Number(last.id) };
    return { rows, next: { limit: Math.min(fitting, PAGE_EVENTS.most), after: position } };
  }

  // The database counts the characters: events are of any size, and the next ones need not be as small as the last.
  private readRows({ filter, sort, lastId, withDetails }: Selection, limit: number, after?: Position): Promise<Row[]> {
    const direction = sort === 'timestamp' ? 'ASC' : 'DESC';
    const page = applyFilter(this.events.createQueryBuilder('event'), filter)
      .andWhere('event.id <= :lastId', { lastId })
      .select(EVENT_JSON, 'json')
      .addSelect(withDetails ? 'event.details::text' : 'NULL', 'details')
      .addSelect('event.id', 'id')
      .addSelect(MILLISECONDS, 'milliseconds')
      .limit(limit);
    goOn(page, sort, after);
    const measured = this.events.manager
      .createQueryBuilder()
      .select('page.*')
      .addSelect('count(*) OVER ()::int', 'found')
      .addSelect(
        `sum(length(page.json)) OVER (ORDER BY milliseconds ${direction}, id ${direction} ROWS UNBOUNDED PRECEDING) - length(page.json)`,
        'before',
      )
      .from(`(${page.getQuery()})`, 'page');
    return this.events.manager
      .createQueryBuilder()
      .select('json, details, id, milliseconds, found')
      .from(`(${measured.getQuery()})`, 'measured')
      .where('before < :characters', { characters: PAGE_CHARACTERS })
      .orderBy('milliseconds', direction)
      .addOrderBy('id', direction)
      .setParameters(page.getParameters())
      .getRawMany<Row>();
  }

  private async lastId(): Promise<string> {
    const row = await this.events.createQueryBuilder().select('max(id)', 'id').getRawOne<{ id: string | null }>();
    return row?.id ?? '0';
  }
}

// ISO 8601 in its basic form: colons are not for file names.
function toFileStamp(time: Date): string {
  return time.toISOString().replace(/[-:]|\.\d+/g, '');
}
