import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { QueryEnum, QueryText } from '@app/platform';
import { EventFilterDto } from './event-filter.dto';
import { AUTO_POINTS, BUCKETS, MAX_POINTS } from './timeseries-buckets';
import { checkTimeZone } from './timeseries-days';

/** What a series of its own may be made for. */
const GROUPINGS = ['severity', 'event_type', 'source'] as const;

/** Series of a grouping; what else there is makes one more. */
export const MAX_SERIES = 10;

/** Key of the series of all that is not among the first. */
export const OTHER = '_other_';

/** Which events to count, and into which buckets. */
export class TimeseriesQueryDto extends EventFilterDto {
  @QueryEnum(BUCKETS, {
    default: 'auto',
    description: `How long a bucket is; \`auto\` is the smallest that makes no more than ${AUTO_POINTS} of the range. At most ${MAX_POINTS} buckets are allowed. Buckets are aligned to UTC, but \`1d\` to the days of \`tz\`.`,
  })
  bucket: (typeof BUCKETS)[number] = 'auto';

  @QueryEnum(GROUPINGS, {
    description: `One series for each value: the four severities (those that the filters allow), or the ${MAX_SERIES} most frequent types or sources and \`${OTHER}\` for the rest.`,
  })
  group_by?: (typeof GROUPINGS)[number];

  @QueryText(checkTimeZone, {
    type: 'string',
    default: 'UTC',
    description:
      'Whose days `1d` means: a name of the IANA time zone database. Days on which clocks change have 23 or 25 hours.',
    examples: ['Europe/Berlin'],
  })
  tz = 'UTC';
}

/** The counts of one value. */
@ApiSchema({ name: 'Series' })
export class SeriesDto {
  @ApiProperty({
    type: 'string',
    nullable: true,
    description: `The severity, type or source; null for events without a source, and when nothing is grouped; \`${OTHER}\`, as the last of a grouping, for all the rest.`,
    example: 'error',
  })
  key: string | null;

  @ApiProperty({
    type: 'array',
    items: {
      type: 'array',
      minItems: 2,
      maxItems: 2,
      prefixItems: [
        { type: 'string', format: 'date-time' },
        { type: 'integer', minimum: 0 },
      ],
    } as never,
    description: 'The start of each bucket and its events, the oldest first; none is missing, 0 included.',
    example: [
      ['2026-01-31T09:00:00Z', 12],
      ['2026-01-31T10:00:00Z', 0],
    ],
  })
  points: [string, number][];

  @ApiProperty({ type: 'integer', minimum: 0, description: 'All events of the series.', example: 12 })
  total: number;
}

/** Events over time. */
@ApiSchema({ name: 'Timeseries' })
export class TimeseriesDto {
  @ApiProperty({
    type: 'string',
    enum: BUCKETS.filter((bucket) => bucket !== 'auto'),
    description: 'How long a bucket is.',
    example: '1h',
  })
  bucket: string;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    description: 'Counted from here on: the first bucket may have begun before.',
    example: '2026-01-31T09:00:00.000Z',
  })
  since: string;

  @ApiProperty({
    type: 'string',
    format: 'date-time',
    description: 'Counted up to here, without it: the last bucket may end later.',
    example: '2026-01-31T11:00:00.000Z',
  })
  until: string;

  @ApiProperty({
    type: () => [SeriesDto],
    description: `Severities in their order; types and sources by their totals; \`${OTHER}\` last.`,
  })
  series: SeriesDto[];
}
