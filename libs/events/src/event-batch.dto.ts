import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { QueryBoolean } from '@app/platform';

/** Events of a batch at most. */
export const MAX_BATCH_EVENTS = 10_000;

/** Bytes of a batch at most. */
export const MAX_BATCH_BYTES = 16 * 1024 * 1024;

/** How a batch is stored. */
export class BatchQueryDto {
  @QueryBoolean({ default: false, description: 'Whether one refused event refuses all (422).' })
  atomic = false;
}

/** An event of a batch that was not stored. */
@ApiSchema({ name: 'RejectedEvent' })
export class RejectedEventDto {
  @ApiProperty({ type: 'integer', minimum: 0, description: 'Its place in the batch, from 0.', example: 1 })
  index: number;

  @ApiProperty({
    type: 'integer',
    description:
      'The status it would have had alone: 400 when it cannot be read, 413 when it is too long, 422 when it breaks a rule.',
    example: 422,
  })
  status: number;

  @ApiProperty({
    description: 'The first rule that it breaks, and how many more.',
    example: 'severity must be one of info, warning, error, critical',
  })
  detail: string;

  @ApiProperty({
    required: false,
    description: 'Where in the event: an RFC 6901 JSON Pointer as a URI fragment.',
    example: '#/severity',
  })
  pointer?: string;
}

/** What became of a batch. */
@ApiSchema({ name: 'BatchResult' })
export class BatchResultDto {
  @ApiProperty({ type: 'integer', minimum: 0, description: 'Events that were stored.', example: 1 })
  accepted: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Events that were not.', example: 1 })
  rejected: number;

  @ApiProperty({
    type: 'array',
    items: { type: ['integer', 'null'] as never, format: 'int64' },
    description: 'The id of each event, in their order; null where it was rejected.',
    example: [42, null],
  })
  ids: (number | null)[];

  @ApiProperty({ type: () => [RejectedEventDto], description: 'Why each rejected event was.' })
  errors: RejectedEventDto[];
}
