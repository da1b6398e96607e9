import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Patch, Post, Put, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { ApiBody, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems, IdempotencyKeyHeader, JsonText, NoQuery, type IdempotencyKey } from '@app/platform';
import { etagOf, type StoredEvent } from './event-json';
import { EventIdPipe } from './event-id.pipe';
import { EventTypeParamDto, ListEventsQueryDto, PageQueryDto } from './event-list.dto';
import { EventListService, type EventList } from './event-list.service';
import { CreateEventDto, EventDto, EventStatsDto, UpdateEventDto } from './events.dto';
import * as docs from './events.openapi';
import { toJsonText } from './idempotency.service';
import { EventsService } from './events.service';

/** The events API. */
@ApiTags('events')
@Controller('api/events')
export class EventsController {
  constructor(
    private readonly events: EventsService,
    private readonly lists: EventListService,
  ) {}

  @Post()
  @NoQuery()
  @ApiOperation({ operationId: 'createEvent', summary: 'Store an event' })
  @ApiBody({ type: CreateEventDto, examples: docs.NEW_EVENTS })
  @ApiResponse({
    status: 201,
    description: 'The stored event.',
    type: EventDto,
    headers: { ...docs.LOCATION, ...docs.ETAG, ...docs.REPLAYED },
  })
  @ApiHeader(docs.IDEMPOTENCY_KEY)
  @ApiProblems(
    'malformed',
    'conflict',
    'payload_too_large',
    'unsupported_media_type',
    docs.WRONG_SEVERITY,
    'unavailable',
  )
  async create(@Body() event: CreateEventDto, @IdempotencyKeyHeader() key?: IdempotencyKey): Promise<JsonText> {
    if (key) return toJsonText(await this.events.createOnce(event, key));
    const stored = await this.events.create(event);
    return answer(stored, { location: `/api/events/${stored.id}` });
  }

  @Get()
  @ApiOperation({ operationId: 'listEvents', summary: 'List events, the newest first' })
  @ApiResponse({
    status: 200,
    description: 'One page of events.',
    type: [EventDto],
    headers: { ...docs.LINK, ...docs.TOTAL_COUNT },
  })
  @ApiProblems(docs.WRONG_PARAMETER, 'unavailable')
  async list(@Query() query: ListEventsQueryDto, @Req() { url, raw }: FastifyRequest): Promise<JsonText> {
    return answerList(await this.lists.list(query, () => raw.socket.destroyed), url);
  }

  @Get('stats')
  @NoQuery()
  @ApiOperation({ operationId: 'getEventStats', summary: 'Count events' })
  @ApiResponse({ status: 200, description: 'Counts over all events.', type: EventStatsDto })
  @ApiProblems(docs.UNKNOWN_PARAMETER, 'unavailable')
  async stats(): Promise<JsonText> {
    return new JsonText(await this.events.stats());
  }

  @Get('type/:event_type')
  @ApiOperation({ operationId: 'listEventsByType', summary: 'List events of one type, the newest first' })
  @ApiResponse({ status: 200, description: 'One page of events.', type: [EventDto], headers: docs.LINK })
  @ApiProblems(docs.WRONG_PATH, docs.WRONG_PARAMETER, 'unavailable')
  async listByType(
    @Param() { event_type }: EventTypeParamDto,
    @Query() page: PageQueryDto,
    @Req() { url, raw }: FastifyRequest,
  ): Promise<JsonText> {
    return answerList(await this.lists.listByType(event_type, page, () => raw.socket.destroyed), url);
  }

  @Get(':id')
  @NoQuery()
  @ApiOperation({ operationId: 'getEvent', summary: 'Read an event' })
  @ApiParam(docs.ID)
  @ApiHeader(docs.IF_NONE_MATCH)
  @ApiResponse({ status: 200, description: 'The event.', type: EventDto, headers: docs.ETAG })
  @ApiResponse({ status: 304, description: 'The event still has the entity tag of If-None-Match.', headers: docs.ETAG })
  @ApiProblems(docs.WRONG_PATH, docs.NOT_FOUND, docs.WRONG_ID, 'unavailable')
  async get(@Param('id', EventIdPipe) id: number): Promise<JsonText> {
    return answer(await this.events.get(id));
  }

  @Put(':id')
  @NoQuery()
  @ApiOperation({
    operationId: 'putEvent',
    summary: 'Change fields of an event, by PUT',
    description: 'The same as PATCH, for clients of the earlier backend: it is no replacement, absent fields stay.',
  })
  @ApiParam(docs.ID)
  @ApiHeader(docs.IF_MATCH)
  @ApiBody({ type: UpdateEventDto, examples: docs.CHANGES })
  @ApiResponse({ status: 200, description: 'The event as it is now.', type: EventDto, headers: docs.ETAG })
  @ApiProblems(...docs.UPDATE_PROBLEMS)
  async put(
    @Param('id', EventIdPipe) id: number,
    @Body() changes: UpdateEventDto,
    @Headers('If-Match') ifMatch?: string,
  ): Promise<JsonText> {
    return answer(await this.events.update(id, changes, ifMatch));
  }

  @Patch(':id')
  @NoQuery()
  @ApiOperation({ operationId: 'updateEvent', summary: 'Change fields of an event', description: docs.CHANGE })
  @ApiParam(docs.ID)
  @ApiHeader(docs.IF_MATCH)
  @ApiBody({ type: UpdateEventDto, examples: docs.CHANGES })
  @ApiResponse({ status: 200, description: 'The event as it is now.', type: EventDto, headers: docs.ETAG })
  @ApiProblems(...docs.UPDATE_PROBLEMS)
  async patch(
    @Param('id', EventIdPipe) id: number,
    @Body() changes: UpdateEventDto,
    @Headers('If-Match') ifMatch?: string,
  ): Promise<JsonText> {
    return answer(await this.events.update(id, changes, ifMatch));
  }

  @Delete(':id')
  @HttpCode(204)
  @NoQuery()
  @ApiOperation({ operationId: 'deleteEvent', summary: 'Delete an event' })
  @ApiParam(docs.ID)
  @ApiHeader(docs.IF_MATCH)
  @ApiResponse({ status: 204, description: 'The event is gone.' })
  @ApiProblems(
    docs.WRONG_PATH,
    docs.NOT_FOUND,
    docs.CHANGED_MEANWHILE,
    'payload_too_large',
    'unsupported_media_type',
    docs.WRONG_ID,
    'unavailable',
  )
  async delete(@Param('id', EventIdPipe) id: number, @Headers('If-Match') ifMatch?: string): Promise<void> {
    await this.events.delete(id, ifMatch);
  }
}

function answer(event: StoredEvent, headers: Record<string, string> = {}): JsonText {
  return new JsonText(event.json, { etag: etagOf(event), ...headers });
}

function answerList({ json, next, total }: EventList, url: string): JsonText {
  return new JsonText(json, {
    ...(next !== '' && { link: `<${withCursor(url, next)}>; rel="next"` }),
    ...(total !== undefined && { 'x-total-count': String(total) }),
  });
}

// The rest of the query as it came: written anew it could outgrow the limit on headers that the request met.
function withCursor(url: string, cursor: string): string {
  const [path = '', query = ''] = url.replace(/[<>"[\]]/g, encodeURIComponent).split('?', 2);
  const kept = query.split('&').filter((parameter) => {
    const name = decodeURIComponent(parameter.split('=', 1)[0] ?? '');
    return !['', 'cursor', 'offset', 'count'].includes(name);
  });
  return `${path}?${[...kept, `cursor=${cursor}`].join('&')}`;
}
