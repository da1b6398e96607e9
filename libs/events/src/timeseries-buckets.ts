import { invalid } from '@app/platform';
import { dayStarts } from './timeseries-days';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const WIDTHS_MS = {
  '1m': MINUTE_MS,
  '5m': 5 * MINUTE_MS,
  '15m': 15 * MINUTE_MS,
  '1h': HOUR_MS,
  '6h': 6 * HOUR_MS,
  '1d': 24 * HOUR_MS,
};

export type BucketSize = keyof typeof WIDTHS_MS;

const SIZES = Object.keys(WIDTHS_MS) as BucketSize[];

/** The sizes that a caller may ask for; `auto` takes the smallest that makes no more than `AUTO_POINTS`. */
export const BUCKETS = [...SIZES, 'auto'] as const;

/** Points that a human can tell apart in a chart. */
export const AUTO_POINTS = 120;

/** Points of a series at most, as in Prometheus. */
export const MAX_POINTS = 11_000;

/** A span of time, in milliseconds since 1970: `since` is in it, `until` is not. */
export interface Span {
  since: number;
  until: number;
}

/** A span in parts, each from its start to the next one's: from the part that holds `since` to the one before `until`. */
export interface Buckets {
  size: BucketSize;
  starts: number[];
}

/**
 * Divides a span: days are those of `timeZone`, all else is aligned to UTC.
 *
 * @throws AppError `invalid` for more than `MAX_POINTS`
 */
export async function toBuckets(span: Span, bucket: (typeof BUCKETS)[number], timeZone: string): Promise<Buckets> {
  const { since, until } = span;
  const size = bucket === 'auto' ? fittingSize(span) : bucket;
  const width = WIDTHS_MS[size];
  const first = Math.floor(since / width) * width;
  const count = Math.ceil((until - first) / width);
  if (size !== '1d') {
    requireFew(count, size);
    return { size, starts: Array.from({ length: count }, (_, place) => first + place * width) };
  }
  // Days of a zone are at most two less than those of UTC; thousands of years of them must not even be listed.
  requireFew(count - 2, size);
  const starts = await dayStarts(since, until, timeZone);
  requireFew(starts.length, size);
  return { size, starts };
}

function fittingSize({ since, until }: Span): BucketSize {
  return SIZES.find((size) => (until - since) / WIDTHS_MS[size] <= AUTO_POINTS) ?? '1d';
}

function requireFew(count: number, size: BucketSize): void {
  if (count <= MAX_POINTS) return;
  const detail = `bucket ${size} makes more than ${MAX_POINTS} points of this range: ask for a larger one, or a shorter range`;
  throw invalid([{ detail, parameter: 'bucket' }]);
}
