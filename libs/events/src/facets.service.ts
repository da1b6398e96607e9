import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { queryCounts } from './event-count';
import { isCountedByKey } from './event-counts';
import { applyFilter, toFilter, type EventFilter } from './event-filter';
import { SystemEvent } from './event.entity';
import type { FacetsQueryDto } from './facets.dto';

const KEY = 'event_type, severity, source';

/** Counts events by their values. */
@Injectable()
export class FacetsService {
  constructor(@InjectRepository(SystemEvent) private readonly events: Repository<SystemEvent>) {}

  /** The counts as JSON text, all from one snapshot. @throws AppError `invalid`, `unavailable` */
  async read(query: FacetsQueryDto): Promise<string> {
    const [sql, parameters] = this.rows(toFilter(query));
    const [row] = await this.events.query<{ json: string }[]>(facetsOf(sql, `$${parameters.length + 1}`), [
      ...parameters,
      query.top,
    ]);
    return row?.json ?? '{}';
  }

  // Rows (event_type, severity, source, events).
  private rows(filter: EventFilter): [sql: string, parameters: unknown[]] {
    const query = isCountedByKey(filter)
      ? queryCounts(this.events, filter).select(`${KEY}, events`)
      : applyFilter(this.events.createQueryBuilder('event'), filter).select(`${KEY}, 1 AS events`);
    return query.getQueryAndParameters();
  }
}

function facetsOf(rows: string, top: string): string {
  return `
    WITH counted AS MATERIALIZED (
      SELECT ${KEY}, sum(events) AS events FROM (${rows}) AS rows GROUP BY ${KEY} HAVING sum(events) <> 0
    )
    SELECT json_build_object(
      'total', (SELECT coalesce(sum(events), 0) FROM counted),
      'severity', ${facetOf('severity', top)},
      'event_type', ${facetOf('event_type', top)},
      'source', ${facetOf('source', top)}
    )::text AS json`;
}

function facetOf(column: string, top: string): string {
  const order = 'count DESC, value COLLATE "C"';
  return `(
    SELECT coalesce(json_agg(json_build_object('value', value, 'count', count) ORDER BY ${order}), '[]') FROM (
      SELECT value, count FROM (SELECT ${column} AS value, sum(events) AS count FROM counted GROUP BY 1) AS facet
      ORDER BY ${order} LIMIT ${top}
    ) AS best
  )`;
}
