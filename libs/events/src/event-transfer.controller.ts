import { Controller, Get, Header, HttpCode, Post, Query, StreamableFile } from '@nestjs/common';
import { ApiExtraModels, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import {
  ApiProblems,
  NoIdempotencyKey,
  NoQuery,
  RequestContent,
  StreamedAnswer,
  StreamedBody,
  type StreamedContent,
} from '@app/platform';
import { ExportEventsQueryDto } from './event-export.dto';
import { EventExportService } from './event-export.service';
import { ImportEventDto, ImportResultDto } from './event-import.dto';
import { EventImportService } from './event-import.service';
import * as docs from './event-transfer.openapi';

/** Events as files: out and in again. */
@ApiTags('events')
@ApiExtraModels(ImportEventDto)
@Controller('api/events')
export class EventTransferController {
  constructor(
    private readonly exports: EventExportService,
    private readonly imports: EventImportService,
  ) {}

  @Get('export')
  @Header('Cache-Control', 'no-store')
  @StreamedAnswer()
  @ApiOperation({ operationId: 'exportEvents', summary: 'Download events', description: docs.EXPORT_DESCRIPTION })
  @ApiResponse({ status: 200, description: 'The file.', headers: docs.EXPORT_HEADERS, content: docs.EXPORT_CONTENT })
  @ApiProblems(docs.WRONG_FORMAT, 'unavailable')
  async export(@Query() query: ExportEventsQueryDto): Promise<StreamableFile> {
    const { content, mediaType, fileName } = await this.exports.export(query);
    return new StreamableFile(content, { type: mediaType, disposition: `attachment; filename="${fileName}"` });
  }

  @Post('import')
  @HttpCode(200)
  @NoQuery()
  @NoIdempotencyKey()
  @StreamedBody({ types: ['application/x-ndjson', 'application/json', 'text/csv'] })
  @ApiOperation({
    operationId: 'importEvents',
    summary: 'Upload events',
    description: docs.IMPORT_DESCRIPTION,
    requestBody: { required: true, content: docs.IMPORT_CONTENT },
  })
  @ApiResponse({
    status: 200,
    description: 'What became of the events.',
    type: ImportResultDto,
    example: docs.IMPORTED,
  })
  @ApiProblems(docs.BROKEN_FILE, docs.SLOW_FILE, docs.LONG_HEADER, docs.WRONG_TYPE, docs.WRONG_HEADER, docs.INTERRUPTED)
  import(@RequestContent() content: StreamedContent): Promise<ImportResultDto> {
    return this.imports.import(content);
  }
}
