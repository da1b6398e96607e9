import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Patch, Post, Put, Query } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems, JsonText, NoQuery } from '@app/platform';
import { etagOf, type StoredEvent } from './event-json';
import { EventIdPipe } from './event-id.pipe';
import {
  CreateEventDto,
  EventDto,
  EventStatsDto,
  EventTypeParamDto,
  ListEventsQueryDto,
  PageQueryDto,
  UpdateEventDto,
} from './events.dto';
import { EventsService, type EventPage } from './events.service';

const ETAG = {
  ETag: {
    description: 'The version of the event, for If-Match and If-None-Match.',
    schema: { type: 'string', example: '"42-1"' },
  },
};
const LOCATION = {
  Location: { description: 'Where the event is.', schema: { type: 'string', example: '/api/events/42' } },
};
const LINK = {
  Link: {
    description: 'The next page, when there is one (RFC 8288).',
    schema: { type: 'string', example: '</api/events?limit=100&offset=100>; rel="next"' },
  },
};

const ID = { name: 'id', schema: { type: 'integer', format: 'int64', minimum: 1 }, example: 42 };
const IF_MATCH = {
  name: 'If-Match',
  required: false,
  description: 'Only when the event still has this entity tag.',
  schema: { type: 'string' },
  example: '"42-1"',
};
const IF_NONE_MATCH = {
  name: 'If-None-Match',
  required: false,
  description: 'Only when the event no longer has this entity tag.',
  schema: { type: 'string' },
  example: '"42-1"',
};

/** The events API. */
@ApiTags('events')
@Controller('api/events')
export class EventsController {
  constructor(private readonly events: EventsService) {}

  @Post()
  @NoQuery()
  @ApiOperation({ operationId: 'createEvent', summary: 'Store an event' })
  @ApiResponse({ status: 201, description: 'The stored event.', type: EventDto, headers: { ...LOCATION, ...ETAG } })
  @ApiProblems(400, 413, 415, 422, 503)
  async create(@Body() event: CreateEventDto): Promise<JsonText> {
    const stored = await this.events.create(event);
    return answer(stored, { location: `/api/events/${stored.id}` });
  }

  @Get()
  @ApiOperation({ operationId: 'listEvents', summary: 'List events, the newest first' })
  @ApiResponse({ status: 200, description: 'One page of events.', type: [EventDto], headers: LINK })
  @ApiProblems(422, 503)
  async list(@Query() query: ListEventsQueryDto): Promise<JsonText> {
    return answerPage(await this.events.list(query), '/api/events', query);
  }

  @Get('stats')
  @NoQuery()
  @ApiOperation({ operationId: 'getEventStats', summary: 'Count events' })
  @ApiResponse({ status: 200, description: 'Counts over all events.', type: EventStatsDto })
  @ApiProblems(422, 503)
  async stats(): Promise<JsonText> {
    return new JsonText(await this.events.stats());
  }

  @Get('type/:event_type')
  @ApiOperation({ operationId: 'listEventsByType', summary: 'List events of one type, the newest first' })
  @ApiResponse({ status: 200, description: 'One page of events.', type: [EventDto], headers: LINK })
  @ApiProblems(422, 503)
  async listByType(@Param() { event_type }: EventTypeParamDto, @Query() query: PageQueryDto): Promise<JsonText> {
    return answerPage(
      await this.events.listByType(event_type, query),
      `/api/events/type/${encodeURIComponent(event_type)}`,
      query,
    );
  }

  @Get(':id')
  @NoQuery()
  @ApiOperation({ operationId: 'getEvent', summary: 'Read an event' })
  @ApiParam(ID)
  @ApiHeader(IF_NONE_MATCH)
  @ApiResponse({ status: 200, description: 'The event.', type: EventDto, headers: ETAG })
  @ApiResponse({ status: 304, description: 'The event still has the entity tag of If-None-Match.', headers: ETAG })
  @ApiProblems(404, 422, 503)
  async get(@Param('id', EventIdPipe) id: number): Promise<JsonText> {
    return answer(await this.events.get(id));
  }

  @Put(':id')
  @NoQuery()
  @ApiOperation({ operationId: 'replaceEventFields', summary: 'Change fields of an event (the same as PATCH)' })
  @ApiParam(ID)
  @ApiHeader(IF_MATCH)
  @ApiResponse({ status: 200, description: 'The event as it is now.', type: EventDto, headers: ETAG })
  @ApiProblems(400, 404, 412, 413, 415, 422, 503)
  async put(
    @Param('id', EventIdPipe) id: number,
    @Body() changes: UpdateEventDto,
    @Headers('if-match') ifMatch?: string,
  ): Promise<JsonText> {
    return answer(await this.events.update(id, changes, ifMatch));
  }

  @Patch(':id')
  @NoQuery()
  @ApiOperation({ operationId: 'updateEvent', summary: 'Change fields of an event' })
  @ApiParam(ID)
  @ApiHeader(IF_MATCH)
  @ApiResponse({ status: 200, description: 'The event as it is now.', type: EventDto, headers: ETAG })
  @ApiProblems(400, 404, 412, 413, 415, 422, 503)
  async patch(
    @Param('id', EventIdPipe) id: number,
    @Body() changes: UpdateEventDto,
    @Headers('if-match') ifMatch?: string,
  ): Promise<JsonText> {
    return answer(await this.events.update(id, changes, ifMatch));
  }

  @Delete(':id')
  @HttpCode(204)
  @NoQuery()
  @ApiOperation({ operationId: 'deleteEvent', summary: 'Delete an event' })
  @ApiParam(ID)
  @ApiHeader(IF_MATCH)
  @ApiResponse({ status: 204, description: 'The event is gone.' })
  @ApiProblems(404, 412, 422, 503)
  async delete(@Param('id', EventIdPipe) id: number, @Headers('if-match') ifMatch?: string): Promise<void> {
    await this.events.delete(id, ifMatch);
  }
}

function answer(event: StoredEvent, headers: Record<string, string> = {}): JsonText {
  return new JsonText(event.json, { etag: etagOf(event), ...headers });
}

function answerPage({ json, hasNext }: EventPage, path: string, query: PageQueryDto): JsonText {
  const offset = query.offset + query.limit;
  return new JsonText(
    json,
    hasNext && offset < 2 ** 31 ? { link: `<${path}?${nextQuery(query, offset)}>; rel="next"` } : {},
  );
}

function nextQuery(query: PageQueryDto, offset: number): string {
  const next = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, offset }) as [string, string[] | number | undefined][]) {
    for (const item of value === undefined ? [] : [value].flat()) next.append(name, String(item));
  }
  return next.toString();
}
