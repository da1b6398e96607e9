import { ApiProperty, ApiSchema, OmitType } from '@nestjs/swagger';
import { RejectedEventDto } from './event-batch.dto';
import { CreateEventDto } from './events.dto';

/** Rejected events that an answer describes. */
export const MAX_IMPORT_ERRORS = 100;

/** An event of a file: one to store, or one as an export has it. For the document only, the reader has rules of its own. */
@ApiSchema({ name: 'ImportEvent' })
export class ImportEventDto extends CreateEventDto {
  @ApiProperty({ type: 'integer', format: 'int64', required: false, description: 'Ignored.', example: 42 })
  id?: number;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    required: false,
    description: 'Ignored.',
    example: '2026-01-31T09:30:00.123Z',
  })
  created_at?: string;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    required: false,
    description: 'Ignored.',
    example: '2026-01-31T09:30:00.123Z',
  })
  updated_at?: string;
}

/** An event of a file that was not stored. */
@ApiSchema({ name: 'RejectedImport' })
export class RejectedImportDto extends OmitType(RejectedEventDto, ['index', 'status']) {
  @ApiProperty({
    type: 'integer',
    minimum: 0,
    description: 'Its place among the events of the file, from 0.',
    example: 1,
  })
  index: number;

  @ApiProperty({
    type: 'integer',
    description:
      'The status it would have had alone: 400 when it cannot be read, 413 when it is too long, 422 when it breaks a rule.',
    example: 422,
  })
  status: number;

  @ApiProperty({ type: 'integer', minimum: 1, description: 'The line of the file on which it starts.', example: 2 })
  line: number;
}

/** What became of the events of a file. */
@ApiSchema({ name: 'ImportResult' })
export class ImportResultDto {
  @ApiProperty({ type: 'integer', minimum: 0, description: 'Events that were stored.', example: 1284 })
  imported: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Events that were not.', example: 1 })
  rejected: number;

  @ApiProperty({
    type: () => [RejectedImportDto],
    maxItems: MAX_IMPORT_ERRORS,
    description: `Why each rejected event was, the first ${MAX_IMPORT_ERRORS}.`,
  })
  errors: RejectedImportDto[];
}
