import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IsOptional, ValidateIf } from 'class-validator';
import { checkText, QueryInteger, QueryList, rule, Text } from '@app/platform';
import { checkDetails } from './details';
import { SEVERITIES, type Severity } from './event.entity';
import { checkTimestamp } from './timestamp';

const LIMITS = { eventType: 100, message: 65_536, source: 200 };
const EXAMPLE_DETAILS = { version: '1.4.2', commit: '9fceb02', duration_ms: 4210 };

/** A property that may be left out but, unlike with `IsOptional`, not be null. */
const MayBeAbsent = (): PropertyDecorator => ValidateIf((_object, value) => value !== undefined);

const checkSeverity = (value: unknown): string | undefined =>
  SEVERITIES.includes(value as Severity) ? undefined : `must be one of ${SEVERITIES.join(', ')}`;

const IsSeverity = (): PropertyDecorator => rule('severity', checkSeverity);
const IsDetails = (): PropertyDecorator => rule('details', checkDetails);
const IsTimestamp = (): PropertyDecorator => rule('timestamp', checkTimestamp);

/** An event to store. */
@ApiSchema({ name: 'CreateEvent' })
export class CreateEventDto {
  @Text({ max: LIMITS.eventType, description: 'What kind of thing happened.', example: 'deployment' })
  event_type: string;

  @IsSeverity()
  @ApiProperty({ enum: SEVERITIES, enumName: 'Severity', description: 'How bad it is.', example: 'info' })
  severity: Severity;

  @Text({ max: LIMITS.message, description: 'What happened, for a human.', example: 'api 1.4.2 is live' })
  message: string;

  @IsOptional()
  @IsDetails()
  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    nullable: true,
    description: 'Anything else, as JSON: at most 32 levels and 256 KiB.',
    example: EXAMPLE_DETAILS,
  })
  details?: Record<string, unknown> | null;

  @IsOptional()
  @Text({
    min: 0,
    max: LIMITS.source,
    nullable: true,
    required: false,
    description: 'Which service it happened to.',
    example: 'api',
  })
  source?: string | null;

  @MayBeAbsent()
  @IsTimestamp()
  @ApiProperty({
    type: 'string',
    format: 'date-time',
    required: false,
    description: 'When it happened (RFC 3339, from 1970 to one day ahead); the time of storing when absent.',
    example: '2026-01-31T09:30:00.000Z',
  })
  timestamp?: string;
}

/** A change of an event: what is absent stays, `null` clears `details` and `source`. */
@ApiSchema({ name: 'UpdateEvent' })
export class UpdateEventDto {
  @MayBeAbsent()
  @Text({
    max: LIMITS.eventType,
    required: false,
    description: 'What kind of thing happened.',
    example: 'deployment',
  })
  event_type?: string;

  @MayBeAbsent()
  @IsSeverity()
  @ApiProperty({
    enum: SEVERITIES,
    enumName: 'Severity',
    required: false,
    description: 'How bad it is.',
    example: 'warning',
  })
  severity?: Severity;

  @MayBeAbsent()
  @Text({
    max: LIMITS.message,
    required: false,
    description: 'What happened, for a human.',
    example: 'api 1.4.2 is live, with two slow pods',
  })
  message?: string;

  @IsOptional()
  @IsDetails()
  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    nullable: true,
    description: 'Anything else, as JSON: at most 32 levels and 256 KiB; replaced as a whole.',
    example: EXAMPLE_DETAILS,
  })
  details?: Record<string, unknown> | null;

  @IsOptional()
  @Text({ min: 0, max: LIMITS.source, nullable: true, required: false, example: 'api' })
  source?: string | null;

  @MayBeAbsent()
  @IsTimestamp()
  @ApiProperty({
    type: 'string',
    format: 'date-time',
    required: false,
    description: 'When it happened (RFC 3339, from 1970 to one day ahead).',
    example: '2026-01-31T09:30:00.000Z',
  })
  timestamp?: string;
}

/** A stored event. */
@ApiSchema({ name: 'Event' })
export class EventDto {
  @ApiProperty({
    type: 'integer',
    format: 'int64',
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'Ascending in the order of storing; always an exact JSON number.',
    example: 42,
  })
  id: number;

  @ApiProperty({
    type: 'string',
    maxLength: LIMITS.eventType,
    description: 'What kind of thing happened.',
    example: 'deployment',
  })
  event_type: string;

  @ApiProperty({ enum: SEVERITIES, enumName: 'Severity', description: 'How bad it is.', example: 'info' })
  severity: Severity;

  @ApiProperty({ type: 'string', description: 'What happened, for a human.', example: 'api 1.4.2 is live' })
  message: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    nullable: true,
    description: 'Anything else, as JSON.',
    example: EXAMPLE_DETAILS,
  })
  details: Record<string, unknown> | null;

  @ApiProperty({
    type: 'string',
    maxLength: LIMITS.source,
    nullable: true,
    description: 'Which service it happened to.',
    example: 'api',
  })
  source: string | null;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    description: 'When it happened.',
    example: '2026-01-31T09:30:00.000Z',
  })
  timestamp: string;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    description: 'When it was stored.',
    example: '2026-01-31T09:30:00.123Z',
  })
  created_at: string;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    description: 'When it was last changed.',
    example: '2026-01-31T09:30:00.123Z',
  })
  updated_at: string;
}

/** How many events there are of each severity. */
@ApiSchema({ name: 'SeverityCounts' })
export class SeverityCountsDto implements Record<Severity, number> {
  @ApiProperty({ type: 'integer', minimum: 0 })
  info: number;

  @ApiProperty({ type: 'integer', minimum: 0 })
  warning: number;

  @ApiProperty({ type: 'integer', minimum: 0 })
  error: number;

  @ApiProperty({ type: 'integer', minimum: 0 })
  critical: number;
}

/** Counts over all events. */
@ApiSchema({ name: 'EventStats' })
export class EventStatsDto {
  @ApiProperty({ type: 'integer', minimum: 0, description: 'All events.', example: 142 })
  total_events: number;

  @ApiProperty({
    type: () => SeverityCountsDto,
    description: 'Events of each severity; all four are always there.',
    example: { info: 120, warning: 14, error: 7, critical: 1 },
  })
  events_by_severity: SeverityCountsDto;

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'integer', minimum: 0 },
    description: 'Events of the 100 most frequent types.',
    example: { health_check: 89, deployment: 53 },
  })
  events_by_type: Record<string, number>;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Events of the last 24 hours, by timestamp.', example: 23 })
  recent_events: number;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: 'The newest timestamp; null when there is no event.',
    example: '2026-01-31T09:30:00.000Z',
  })
  last_event_timestamp: string | null;
}

/** One page of a listing. */
export class PageQueryDto {
  @QueryInteger({ min: 1, max: 1000, default: 100, description: 'How many events at most.' })
  limit = 100;

  @QueryInteger({ min: 0, max: 2 ** 31 - 1, default: 0, description: 'How many events to pass over.' })
  offset = 0;
}

/** One page of the listing of all events, filtered. */
export class ListEventsQueryDto extends PageQueryDto {
  @QueryList((value) => checkText(value, 1, LIMITS.eventType), {
    type: 'array',
    items: { type: 'string', minLength: 1, maxLength: LIMITS.eventType, example: 'deployment' },
    description: 'Only events of this type; may repeat (any of them).',
  })
  event_type?: string[];

  @QueryList(checkSeverity, {
    type: 'array',
    items: { $ref: '#/components/schemas/Severity' },
    description: 'Only events of this severity; may repeat (any of them).',
  })
  severity?: Severity[];

  @QueryList((value) => checkText(value, 1, LIMITS.source), {
    type: 'array',
    items: { type: 'string', minLength: 1, maxLength: LIMITS.source, example: 'api' },
    description: 'Only events of this source; may repeat (any of them).',
  })
  source?: string[];
}

/** The type in a path. */
export class EventTypeParamDto {
  @Text({ max: LIMITS.eventType, description: 'The type of the events.', example: 'deployment' })
  event_type: string;
}
