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

/** Adds the conditions of a filter to a statement over `system_events` without an alias or under the alias `event`. */
export function applyFilter<Builder extends WhereExpressionBuilder>(builder: Builder, filter: EventFilter): Builder {
  for (const [sql, parameters] of conditions(filter)) builder.andWhere(sql, parameters);
  return builder;
}

/** Whether a filter has any condition. */
export function isSelective(filter: EventFilter): boolean {
  return Object.keys(filter).length > 0;
}

function conditions(filter: EventFilter): [sql: string, parameters: ObjectLiteral][] {
  const { since, until, eventTypes, severities, sources, search, details = [] } = filter;
  const result: [string, ObjectLiteral][] = [];
  // As text: node-postgres would write a Date in the time zone of the process.
  if (since) result.push(['"timestamp" >= :since', { since: since.toISOString() }]);
  if (until) result.push(['"timestamp" < :until', { until: until.toISOString() }]);
  if (eventTypes) result.push(['event_type IN (:...eventTypes)', { eventTypes }]);
  if (severities?.length === 0) result.push(['false', {}]);
  else if (severities) result.push(['severity IN (:...severities)', { severities }]);
  if (sources) result.push(['source IN (:...sources)', { sources }]);
  if (search !== undefined) {
    result.push([`event_search_vector(message) @@ websearch_to_tsquery('simple', :search)`, { search }]);
  }
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

const JSON_SCALAR = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;

// A text that could also be a number or a literal is looked for as both.
function containers(path: string, values: string[]): string[] {
  const scalars = values.flatMap((value) => {
    const isScalar = JSON_SCALAR.test(value) && !(Math.abs(Number(value)) === Infinity);
    return isScalar ? [value, JSON.stringify(value)] : [JSON.stringify(value)];
  });
  const steps = path.split('.');
  return scalars.map((scalar) => steps.reduceRight((json, step) => `{${JSON.stringify(step)}:${json}}`, scalar));
}
