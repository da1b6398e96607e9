import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { giveTurn, invalid } from '@app/platform';
import { countsByMinute, isCountedByMinute } from './event-counts';
import { applyFilter, toFilter, type EventFilter } from './event-filter';
import { EventScans } from './event-scans';
import { SEVERITIES, SystemEvent } from './event.entity';
import { toBuckets, type Buckets } from './timeseries-buckets';
import { MAX_SERIES, OTHER, type SeriesDto, type TimeseriesQueryDto } from './timeseries.dto';

const DAY_MS = 24 * 60 * 60 * 1000;
const MINUTE_MS = 60 * 1000;
const EARLIEST = Date.parse('0001-01-01T00:00:00Z');

type Grouping = TimeseriesQueryDto['group_by'];
type Range = EventFilter & { since: Date; until: Date };

/** One series as PostgreSQL counts it: only the buckets that hold events, by their places. */
interface Counted {
  key: string | null;
  isRest: boolean;
  counts: [place: number, events: number][];
}

/** Counts events over time. */
@Injectable()
export class TimeseriesService {
  constructor(
    @InjectRepository(SystemEvent) private readonly events: Repository<SystemEvent>,
    private readonly scans: EventScans,
  ) {}

  /** A `TimeseriesDto` as JSON text: of thousands of points, made once for all who ask. @throws AppError `invalid`, `unavailable` */
  async read(query: TimeseriesQueryDto, hasLeft?: () => boolean): Promise<string> {
    // What is wrong with a range need not wait.
    toRange(query);
    return this.scans.read('timeseries', query, () => this.load(query), hasLeft);
  }

  private async load(query: TimeseriesQueryDto): Promise<string> {
    const range = toRange(query);
    const { since, until } = range;
    const buckets = await toBuckets({ since: since.getTime(), until: until.getTime() }, query.bucket, query.tz);
    const [sql, parameters] = this.rows(range, query.group_by, buckets.starts);
    const counted = await this.events.query<Counted[]>(seriesOf(sql), parameters);
    const times = buckets.starts.map((start) => `${new Date(start).toISOString().slice(0, -5)}Z`);
    const head = JSON.stringify({ bucket: buckets.size, since, until }).slice(0, -1);
    const series: string[] = [];
    for (const each of complete(counted, query.group_by, range)) {
      const turn = giveTurn();
      if (turn) await turn;
      series.push(JSON.stringify(toSeries(each, times)));
    }
    return `${head},"series":[${series.join(',')}]}`;
  }

  // Rows (key, place, events). The first bucket has what is before the second one's start, so that a start is never
  // sent that only a zone's offset put before the year 1.
  private rows(range: Range, grouping: Grouping, starts: Buckets['starts']): [sql: string, parameters: unknown[]] {
    const bounds = starts.slice(1).map((start) => new Date(start).toISOString());
    const key = grouping ?? 'NULL::text';
    const isByMinute = starts.every((start) => start % MINUTE_MS === 0) && isCountedByMinute(range);
    if (isByMinute && (grouping === undefined || grouping === 'severity')) {
      const [sql, parameters] = countsByMinute(range);
      const place = `width_bucket(minute, $${parameters.length + 1}::timestamptz[])`;
      return [`SELECT ${key} AS key, ${place} AS place, events FROM (${sql}) AS counts`, [...parameters, bounds]];
    }
    const query = this.events
      .createQueryBuilder('event')
      .select(`${key} AS key, width_bucket("timestamp", CAST(:bounds AS timestamptz[])) AS place, 1 AS events`)
      .setParameters({ bounds });
    return applyFilter(query, range).getQueryAndParameters();
  }
}

/**
 * SQL of the series of rows (key, place, events): the most frequent keys first, the rest as one.
 *
 * OFFSET keeps the planner from seeing the timestamp behind `place`: it would expect as many places as timestamps, and
 * sort all rows rather than count them in a small hash table.
 */
function seriesOf(rows: string): string {
  return `
    WITH counted AS (
      SELECT key, place, sum(events) AS events FROM (${rows} OFFSET 0) AS rows GROUP BY key, place
    ), totalled AS (
      SELECT key, place, events, sum(events) OVER (PARTITION BY key) AS total FROM counted
    ), ranked AS (
      SELECT key, place, events, dense_rank() OVER (ORDER BY total DESC, key COLLATE "C") AS rank
      FROM totalled WHERE total > 0
    ), series AS (
      SELECT least(rank, ${MAX_SERIES + 1}) AS rank, place, min(key) AS key, sum(events) AS events
      FROM ranked GROUP BY 1, 2
    )
    SELECT min(key) AS key, rank > ${MAX_SERIES} AS "isRest",
      json_agg(json_build_array(place, events) ORDER BY place) AS counts
    FROM series GROUP BY rank ORDER BY rank`;
}

function toRange(query: TimeseriesQueryDto): Range {
  const now = new Date();
  const filter = toFilter(query, now);
  const until = filter.until ?? now;
  const since = filter.since ?? new Date(Math.max(until.getTime() - DAY_MS, EARLIEST));
  if (since < until) return { ...filter, since, until };
  throw invalid([
    query.until === undefined
      ? { detail: 'since must lie before now', parameter: 'since' }
      : { detail: 'until must be later than since', parameter: 'until' },
  ]);
}

function complete(counted: Counted[], grouping: Grouping, { severities }: EventFilter): Counted[] {
  const empty = (key: string | null): Counted => ({ key, isRest: false, counts: [] });
  if (grouping === undefined) return counted.length > 0 ? counted : [empty(null)];
  if (grouping !== 'severity') return counted;
  const known = SEVERITIES.filter((severity) => severities?.includes(severity) ?? true);
  // A table of the earlier backend may hold others.
  const others = counted.filter(({ key }) => !known.some((severity) => severity === key));
  return [...known.map((severity) => counted.find(({ key }) => key === severity) ?? empty(severity)), ...others];
}

function toSeries({ key, isRest, counts }: Counted, times: string[]): SeriesDto {
  const points = times.map((time): [string, number] => [time, 0]);
  let total = 0;
  for (const [place, events] of counts) {
    const point = points[place];
    if (!point) throw new Error(`no bucket ${place} of ${times.length}`);
    point[1] = events;
    total += events;
  }
  return { key: isRest ? OTHER : key, points, total };
}
