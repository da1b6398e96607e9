import { Controller, Delete, Query, Req } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { ApiProblems, AppError } from '@app/platform';
import { DeleteEventsQueryDto, DeletionDto } from './event-deletion.dto';
import { EventDeletionService, filterRequired } from './event-deletion.service';

const DESCRIPTION =
  'At least one filter is required. Deletes in chunks of 1000, the oldest first, what was stored when it began: an error or a caller who leaves ends it, and what was deleted until then stays deleted. Try it with `dry_run=true` first.';

const INTERRUPTED = new AppError(
  'unavailable',
  'The database did not answer in time; try again. 12000 events were deleted before.',
);

/** Deletes many events at once. */
@ApiTags('events')
@Controller('api/events')
export class EventDeletionController {
  constructor(private readonly deletion: EventDeletionService) {}

  @Delete()
  @ApiOperation({ operationId: 'deleteEvents', summary: 'Delete events by filters', description: DESCRIPTION })
  // What Swagger UI begins with: it only counts, so that a click deletes nothing.
  @ApiQuery({ name: 'until', required: false, example: '90d' })
  @ApiQuery({ name: 'dry_run', required: false, example: true })
  @ApiResponse({ status: 200, description: 'How many events were deleted, or would be.', type: DeletionDto })
  @ApiProblems('malformed', 'payload_too_large', 'unsupported_media_type', filterRequired(), INTERRUPTED)
  async delete(@Query() query: DeleteEventsQueryDto, @Req() { raw }: FastifyRequest): Promise<DeletionDto> {
    return { deleted: await this.deletion.delete(query, () => raw.socket.destroyed) };
  }
}
