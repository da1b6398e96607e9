import { QueryEnum, QueryInteger, QueryText, Text } from '@app/platform';
import { checkCursor, SORTS, type Sort } from './event-cursor';
import { EventFilterDto } from './event-filter.dto';
import { LIMITS } from './event-rules';

const PAGE = {
  limit: { min: 1, max: 1000, default: 100, description: 'How many events at most.' },
  offset: {
    min: 0,
    max: 2 ** 31 - 1,
    description:
      'How many events to pass over; slow when large, and refused with 503 when many such reads wait: follow `Link` instead.',
  },
  cursor: {
    type: 'string' as const,
    description: 'Where to go on: from the `Link` header of the page before, with the same filters.',
    examples: ['WyItdGltZXN0YW1wIiwiX0tQc2pSeXJhVzZHIiwxNzY5ODUxODAwMDAwLDQyXQ'],
  },
};

/** How `X-Total-Count` is made. */
export const COUNTS = ['exact', 'estimated'] as const;

/** One page of the events of a type. */
export class PageQueryDto {
  @QueryInteger(PAGE.limit)
  limit = 100;

  @QueryInteger(PAGE.offset)
  offset?: number;

  @QueryText(checkCursor, PAGE.cursor)
  cursor?: string;
}

/** One page of the listing of all events, filtered and sorted. */
export class ListEventsQueryDto extends EventFilterDto {
  @QueryInteger(PAGE.limit)
  limit = 100;

  @QueryInteger(PAGE.offset)
  offset?: number;

  @QueryText(checkCursor, PAGE.cursor)
  cursor?: string;

  @QueryEnum(SORTS, { description: 'The newest first, or the oldest first.', default: '-timestamp' })
  sort?: Sort;

  @QueryEnum(COUNTS, {
    description:
      'Count all that the filters find, in `X-Total-Count`; an estimate is much faster on a large table, where exact counts are refused with 503 when many wait.',
  })
  count?: (typeof COUNTS)[number];
}

/** The type in a path. */
export class EventTypeParamDto {
  @Text({ max: LIMITS.eventType, description: 'The type of the events.', example: 'deployment' })
  event_type: string;
}
