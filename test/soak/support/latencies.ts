import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

const MICROSECONDS = { lowest: 1, highest: 60_000_000, figures: 3 };

/** How long requests took in a span of time: all of them, and those to `/health/live`, which do nothing but wait. */
export class Latencies {
  private readonly all = createHistogram(MICROSECONDS);
  private readonly live = createHistogram(MICROSECONDS);

  add(ms: number, isLive: boolean): void {
    const microseconds = Math.max(1, Math.round(ms * 1000));
    this.all.record(microseconds);
    if (isLive) this.live.record(microseconds);
  }

  /** Milliseconds that so many percent of the requests took at most. */
  percentile(percent: number): number {
    return percentileOf(this.all, percent);
  }

  livePercentile(percent: number): number {
    return percentileOf(this.live, percent);
  }
}

function percentileOf(histogram: RecordableHistogram, percent: number): number {
  return histogram.count === 0 ? 0 : histogram.percentile(percent) / 1000;
}
