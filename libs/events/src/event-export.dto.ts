import { QueryEnum } from '@app/platform';
import { SORTS, type Sort } from './event-cursor';
import { EventFilterDto } from './event-filter.dto';

const EXPORT_FORMATS = ['ndjson', 'json', 'csv'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** What to export, and how. */
export class ExportEventsQueryDto extends EventFilterDto {
  @QueryEnum(EXPORT_FORMATS, {
    description:
      '`ndjson`: one event a line; `json`: one array; `csv`: RFC 4180 in UTF-8 with a header, `details` as JSON.',
    default: 'ndjson',
  })
  format: ExportFormat = 'ndjson';

  @QueryEnum(SORTS, {
    description: 'The oldest first, as an import needs it, or the newest first.',
    default: 'timestamp',
  })
  sort: Sort = 'timestamp';
}
