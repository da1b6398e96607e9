import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { QueryInteger } from '@app/platform';
import { EventFilterDto } from './event-filter.dto';

/** Which events to count by their values. */
export class FacetsQueryDto extends EventFilterDto {
  @QueryInteger({
    min: 1,
    max: 100,
    default: 20,
    description: 'How many values of each facet, the most frequent first.',
  })
  top = 20;
}

/** How many events have a value. */
@ApiSchema({ name: 'FacetValue' })
export class FacetValueDto {
  @ApiProperty({
    type: 'string',
    nullable: true,
    description: 'The severity, type or source; null for events without a source.',
    example: 'deployment',
  })
  value: string | null;

  @ApiProperty({ type: 'integer', minimum: 1, description: 'Events with this value.', example: 53 })
  count: number;
}

/** What values the events have, the most frequent first, ties by value. */
@ApiSchema({ name: 'EventFacets' })
export class EventFacetsDto {
  @ApiProperty({ type: 'integer', minimum: 0, description: 'All events that the filters find.', example: 142 })
  total: number;

  @ApiProperty({ type: () => [FacetValueDto], example: [{ value: 'info', count: 142 }] })
  severity: FacetValueDto[];

  @ApiProperty({ type: () => [FacetValueDto], example: [{ value: 'health_check', count: 89 }] })
  event_type: FacetValueDto[];

  @ApiProperty({ type: () => [FacetValueDto], example: [{ value: null, count: 142 }] })
  source: FacetValueDto[];
}
