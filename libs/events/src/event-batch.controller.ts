import { Controller, HttpCode, Post, Query } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import {
  ApiProblems,
  BufferedBody,
  IdempotencyKeyHeader,
  JsonText,
  RequestContent,
  type BufferedContent,
  type IdempotencyKey,
} from '@app/platform';
import { BatchQueryDto, BatchResultDto, MAX_BATCH_BYTES } from './event-batch.dto';
import * as batchDocs from './event-batch.openapi';
import { EventBatchService } from './event-batch.service';
import * as docs from './events.openapi';
import { toJsonText } from './idempotency.service';

/** Many events in one request. */
@ApiTags('events')
@Controller('api/events')
export class EventBatchController {
  constructor(private readonly batches: EventBatchService) {}

  @Post('batch')
  @HttpCode(200)
  @BufferedBody({ types: ['application/json', 'application/x-ndjson'], limit: MAX_BATCH_BYTES })
  @ApiOperation({
    operationId: 'createEvents',
    summary: 'Store many events',
    description: batchDocs.DESCRIPTION,
    requestBody: { required: true, content: batchDocs.CONTENT },
  })
  @ApiHeader(docs.IDEMPOTENCY_KEY)
  @ApiResponse({
    status: 200,
    description: 'What became of each event.',
    type: BatchResultDto,
    headers: docs.REPLAYED,
  })
  @ApiProblems(
    'malformed',
    'conflict',
    batchDocs.TOO_MANY,
    'unsupported_media_type',
    batchDocs.REFUSED_ATOMIC,
    'unavailable',
  )
  async create(
    @RequestContent() content: BufferedContent,
    @Query() { atomic }: BatchQueryDto,
    @IdempotencyKeyHeader() key?: IdempotencyKey,
  ): Promise<JsonText> {
    return toJsonText(await this.batches.create(content, atomic, key));
  }
}
