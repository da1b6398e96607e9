import { Controller, Get } from '@nestjs/common';
import { ApiExtraModels, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems, NoQuery } from '@app/platform';
import { UNKNOWN_PARAMETER } from './events.openapi';
import { RetentionDto, RetentionRunDto } from './retention.dto';
import { RetentionService } from './retention.service';

const DESCRIPTION =
  'Events that are older than `RETENTION_DAYS` allows are deleted in the background, in small chunks. All processes share the schedule, one of them works at a time.';

/** Tells how long events are kept. */
@ApiTags('events')
@ApiExtraModels(RetentionRunDto)
@Controller('api/events')
export class RetentionController {
  constructor(private readonly retention: RetentionService) {}

  @Get('retention')
  @NoQuery()
  @ApiOperation({ operationId: 'getRetention', summary: 'Read how long events are kept', description: DESCRIPTION })
  @ApiResponse({ status: 200, description: 'The policy, the last and the next run.', type: RetentionDto })
  @ApiProblems(UNKNOWN_PARAMETER, 'unavailable')
  read(): Promise<RetentionDto> {
    return this.retention.status();
  }
}
