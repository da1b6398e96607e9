import { createHash } from 'node:crypto';
import type { ObjectLiteral, WhereExpressionBuilder } from 'typeorm';
import { invalid } from '@app/platform';
import { SEVERITIES, type Severity } from './event.entity';
import type { EventFilterDto } from './event-filter.dto';
import { toSearch } from './event-search';
import { parseMoment } from './timestamp';

/** Which events are meant: all conditions hold, and of each list any value. Absent is no condition. */
export interface EventFilter {
  /** The earliest time, inclusive. */
  since?: Date;
  /** The latest time, exclusive. */
  until?: Date;
  eventTypes?: string[];
  /** Empty when `severity` and `min_severity` exclude each other: no event matches then. */
  severities?: Severity[];
  sources?: string[];
  /** A query of `websearch_to_tsquery`. */
  search?: string;
  /** For each path, JSON objects of which `details` contains one at least. */
  details?: string[][];
}

/** The filter that a query asks for, relative times counted back from `now`. @throws AppError `invalid` */
export function toFilter(query: EventFilterDto, now = new Date()): EventFilter {
  const since = query.since === undefined ? undefined : parseMoment(query.since, now);
  const until = query.until === undefined ? undefined : parseMoment(query.until, now);
  if (since && until && since > until) {
    throw invalid([{ detail: 'until must not be earlier than since', parameter: 'until' }]);
  }
  const severities = severitiesOf(query);
  return {
    ...(since && { since }),
    ...(until && { until }),
    ...(query.event_type && { eventTypes: query.event_type }),
    ...(severities && { severities }),
    ...(query.source && { sources: query.source }),
    ...(query.q !== undefined && { search: toSearch(query.q) }),
    ...(query.details && { details: query.details.map(([path, values]) => containers(path, values)) }),
  };
}

/** Identifies what `query` asks for, whatever its moment: equal for equal texts. */
export function fingerprint(query: EventFilterDto): string {
  const { since, until, event_type, severity, min_severity, source, q, details } = query;
  const parts = [since, until, event_type, severity, min_severity, source, q, details];
  return createHash('sha256')
    .update(JSON.stringify(parts.map((part) => part ?? null)))
    .digest('base64url')
    .slice(0, 12);
}

/**
 * Adds the conditions of a filter to a statement over `system_events` without an alias or under the alias `event`.
 *
 * @param inside `without index` keeps PostgreSQL from the indexes of words and details
 */
export function applyFilter<Builder extends WhereExpressionBuilder>(
  builder: Builder,
  filter: EventFilter,
  inside: 'indexed' | 'without index' = 'indexed',
): Builder {
  for (const [sql, parameters] of outsideConditions(filter)) builder.andWhere(sql, parameters);
  for (const [sql, parameters] of insideConditions(filter)) {
    // No index knows a test of a condition.
    builder.andWhere(inside === 'indexed' ? sql : `(${sql}) IS TRUE`, parameters);
  }
  return builder;
}

/** Whether a filter has conditions on what is inside messages or details. */
export function looksInside({ search, details }: EventFilter): boolean {
  return search !== undefined || details !== undefined;
}

/** A filter without its conditions on what is inside messages or details. */
export function outside(filter: EventFilter): EventFilter {
  const rest = { ...filter };
  delete rest.search;
  delete rest.details;
  return rest;
}

/** Whether a filter has any condition. */
export function isSelective(filter: EventFilter): boolean {
  return Object.keys(filter).length > 0;
}

type Condition = [sql: string, parameters: ObjectLiteral];

function outsideConditions({ since, until, eventTypes, severities, sources }: EventFilter): Condition[] {
  const result: Condition[] = [];
  // As text: node-postgres would write a Date in the time zone of the process.
  if (since) result.push(['"timestamp" >= :since', { since: since.toISOString() }]);
  if (until) result.push(['"timestamp" < :until', { until: until.toISOString() }]);
  if (eventTypes) result.push(['event_type IN (:...eventTypes)', { eventTypes }]);
  if (severities?.length === 0) result.push(['false', {}]);
  else if (severities) result.push(['severity IN (:...severities)', { severities }]);
  if (sources) result.push(['source IN (:...sources)', { sources }]);
  return result;
}

function insideConditions({ search, details = [] }: EventFilter): Condition[] {
  const result: Condition[] = [];
  if (search !== undefined) result.push([`search @@ websearch_to_tsquery('pg_catalog.simple', :search)`, { search }]);
  details.forEach((containing, place) => {
    const named = containing.map((json, index) => [`details_${place}_${index}`, json] as const);
    const sql = named.map(([name]) => `details @> CAST(:${name} AS jsonb)`).join(' OR ');
    result.push([`(${sql})`, Object.fromEntries(named)]);
  });
  return result;
}

function severitiesOf({ severity, min_severity }: EventFilterDto): Severity[] | undefined {
  if (min_severity === undefined) return severity;
  const atLeast = SEVERITIES.slice(SEVERITIES.indexOf(min_severity));
  return severity ? atLeast.filter((known) => severity.includes(known)) : atLeast;
}

/** With at most three digits in an exponent: PostgreSQL refuses numbers that need more, and no event holds one. */
const JSON_SCALAR = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)$/;

// A text that could also be a number or a literal is looked for as both, and each by itself and as one of a list.
function containers(path: string[], values: string[]): string[] {
  const scalars = values.flatMap((value) => {
    return JSON_SCALAR.test(value) ? [value, JSON.stringify(value)] : [JSON.stringify(value)];
  });
  return scalars
    .flatMap((scalar) => [scalar, `[${scalar}]`])
    .map((value) => path.reduceRight((json, step) => `{${JSON.stringify(step)}:${json}}`, value));
}
