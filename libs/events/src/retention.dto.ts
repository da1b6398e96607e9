import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { SEVERITIES, type Severity } from './event.entity';

const DAYS = { type: 'integer', minimum: 1, maximum: 36_500 } as const;

/** The last deletion of old events that came to its end. */
@ApiSchema({ name: 'RetentionRun' })
export class RetentionRunDto {
  @ApiProperty({
    type: 'string',
    format: 'date-time',
    description: 'When it ended.',
    example: '2026-01-31T09:30:00.123Z',
  })
  at: string;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Events that it deleted.', example: 1284 })
  deleted: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Milliseconds that it took.', example: 356 })
  ms: number;
}

/** How long events are kept, and when older ones are deleted. */
@ApiSchema({ name: 'Retention' })
export class RetentionDto {
  @ApiProperty({
    type: 'object',
    properties: Object.fromEntries(SEVERITIES.map((severity) => [severity, DAYS])),
    additionalProperties: false,
    description:
      'The days that events of a severity are kept (`RETENTION_DAYS`), by their `timestamp`; of one that is not named, for ever.',
    example: { info: 30, warning: 90, error: 365 },
  })
  policy: Partial<Record<Severity, number>>;

  @ApiProperty({
    anyOf: [{ $ref: '#/components/schemas/RetentionRun' }, { type: 'null' }],
    description: 'The last deletion of old events that came to its end, in any process; null before the first.',
    example: { at: '2026-01-31T09:30:00.123Z', deleted: 1284, ms: 356 },
  })
  last_run: RetentionRunDto | null;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: 'When the next one is due, now when one is due or under way; null when everything is kept for ever.',
    example: '2026-01-31T10:30:00.123Z',
  })
  next_run: string | null;

  @ApiProperty({
    type: 'string',
    nullable: true,
    description:
      'Why nothing is deleted at the moment: the clock of the database, by which events are old, is more than 5 minutes from that of the process, or it went back, or on by more than 2 days; then it must go on from there for 24 hours. Null when it is believed.',
    example: null,
  })
  held: string | null;
}
