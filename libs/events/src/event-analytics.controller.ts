import { Controller, Get, Query, Req } from '@nestjs/common';
import { ApiExtraModels, ApiOperation, ApiResponse, ApiTags, getSchemaPath } from '@nestjs/swagger';
import { ApiProblems, JsonText } from '@app/platform';
import type { FastifyRequest } from 'fastify';
import * as docs from './event-analytics.openapi';
import { EventFacetsDto, FacetsQueryDto } from './facets.dto';
import { FacetsService } from './facets.service';
import { TimeseriesDto, TimeseriesQueryDto } from './timeseries.dto';
import { TimeseriesService } from './timeseries.service';

/** Counts of events, over time and by their values. */
@ApiTags('events')
@ApiExtraModels(TimeseriesDto, EventFacetsDto)
@Controller('api/events')
export class EventAnalyticsController {
  constructor(
    private readonly timeseries: TimeseriesService,
    private readonly facets: FacetsService,
  ) {}

  @Get('timeseries')
  @ApiOperation({ operationId: 'getEventTimeseries', summary: 'Count events over time', description: docs.TIMESERIES })
  @ApiResponse({
    status: 200,
    description: 'The counts of every bucket.',
    content: {
      'application/json': { schema: { $ref: getSchemaPath(TimeseriesDto) }, examples: docs.TIMESERIES_EXAMPLES },
    },
  })
  @ApiProblems(docs.UNKNOWN_ZONE, 'unavailable')
  async readTimeseries(@Query() query: TimeseriesQueryDto, @Req() { raw }: FastifyRequest): Promise<JsonText> {
    return new JsonText(await this.timeseries.read(query, () => raw.socket.destroyed));
  }

  @Get('facets')
  @ApiOperation({ operationId: 'getEventFacets', summary: 'Count events by their values', description: docs.FACETS })
  @ApiResponse({
    status: 200,
    description: 'The counts of the most frequent values.',
    content: {
      'application/json': { schema: { $ref: getSchemaPath(EventFacetsDto) }, example: docs.FACETS_EXAMPLE },
    },
  })
  @ApiProblems(docs.WRONG_TOP, 'unavailable')
  async readFacets(@Query() query: FacetsQueryDto, @Req() { raw }: FastifyRequest): Promise<JsonText> {
    return new JsonText(await this.facets.read(query, () => raw.socket.destroyed));
  }
}
