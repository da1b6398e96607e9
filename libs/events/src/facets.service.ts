import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { Repository } from 'typeorm';
import { toFilter } from './event-filter';
import { EventScans } from './event-scans';
import { SystemEvent } from './event.entity';
import type { FacetsQueryDto } from './facets.dto';
import { facetsSql } from './facets-sql';

/** Counts events by their values. */
@Injectable()
export class FacetsService {
  constructor(
    @InjectRepository(SystemEvent) private readonly events: Repository<SystemEvent>,
    private readonly scans: EventScans,
  ) {}

  /** The counts as JSON text, all from one snapshot. @throws AppError `invalid`, `unavailable` */
  async read(query: FacetsQueryDto, hasLeft?: () => boolean): Promise<string> {
    // What is wrong with a query need not wait.
    toFilter(query);
    return this.scans.read('facets', query, () => this.load(query), hasLeft);
  }

  private async load(query: FacetsQueryDto): Promise<string> {
    const [sql, parameters] = facetsSql(this.events, toFilter(query), query.top);
    const [row] = await this.events.query<{ json: string }[]>(sql, parameters);
    return row?.json ?? '{}';
  }
}
