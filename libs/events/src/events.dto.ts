import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import { Text } from '@app/platform';
import { SEVERITIES, type Severity } from './event.entity';
import { checkEventType, checkSource, IsDetails, IsSeverity, IsTimestamp, LIMITS, MayBeAbsent } from './event-rules';

const EVENT_TYPE =
  'What kind of thing happened: with a character that can be seen, without control characters but tabs and line breaks.';
const MESSAGE =
  'What happened, for a human: any text without NUL, so escape sequences too, which whoever shows it must escape.';
const SOURCE = 'Which service it happened to; without control characters but tabs and line breaks.';
const DETAILS = `Anything else, as JSON: at most 32 levels and 256 KiB. Numbers are doubles (IEEE 754): integers of 2^53 and
beyond and what is too large or too small for a double are refused, digits beyond its 17 rounded, and -0 becomes 0. Of a
name that stands twice the last value counts.`;

const EXAMPLE_DETAILS = { version: '1.4.2', commit: '9fceb02', duration_ms: 4210 };

/** An event to store. */
@ApiSchema({ name: 'CreateEvent' })
export class CreateEventDto {
  @Text({ max: LIMITS.eventType, check: checkEventType, description: EVENT_TYPE, example: 'deployment' })
  event_type: string;

  @IsSeverity()
  @ApiProperty({ enum: SEVERITIES, enumName: 'Severity', description: 'How bad it is.', example: 'info' })
  severity: Severity;

  @Text({ max: LIMITS.message, description: MESSAGE, example: 'api 1.4.2 is live' })
  message: string;

  @IsOptional()
  @IsDetails()
  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    nullable: true,
    description: DETAILS,
    example: EXAMPLE_DETAILS,
  })
  details?: Record<string, unknown> | null;

  @IsOptional()
  @Text({
    min: 0,
    max: LIMITS.source,
    check: checkSource,
    nullable: true,
    required: false,
    description: SOURCE,
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
    check: checkEventType,
    required: false,
    description: EVENT_TYPE,
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
    description: MESSAGE,
    example: 'api 1.4.2 is live, with two slow pods',
  })
  message?: string;

  @IsOptional()
  @IsDetails()
  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    nullable: true,
    description: `${DETAILS} Replaced as a whole.`,
    example: EXAMPLE_DETAILS,
  })
  details?: Record<string, unknown> | null;

  @IsOptional()
  @Text({
    min: 0,
    max: LIMITS.source,
    check: checkSource,
    nullable: true,
    required: false,
    description: SOURCE,
    example: 'api',
  })
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
