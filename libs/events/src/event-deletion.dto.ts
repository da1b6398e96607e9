import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { QueryBoolean } from '@app/platform';
import { EventFilterDto } from './event-filter.dto';

/** Which events to delete: at least one filter. */
export class DeleteEventsQueryDto extends EventFilterDto {
  @QueryBoolean({ default: false, description: 'Delete nothing, only count what would be deleted.' })
  dry_run = false;
}

/** What a deletion did, or would do. */
@ApiSchema({ name: 'Deletion' })
export class DeletionDto {
  @ApiProperty({
    type: 'integer',
    minimum: 0,
    description: 'How many events were deleted, or would be with `dry_run=true`.',
    example: 1284,
  })
  deleted: number;
}
