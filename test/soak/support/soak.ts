import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { Latencies } from './latencies';
import type { History } from './history';
import { MixedTraffic } from './mixed-traffic';
import { OutputWatch, type Memory } from './output-watch';
import type { Resources, ResourceWatch } from './resource-watch';

/** Milliseconds between two looks at the process. */
const LOOK_MS = 1000;

/** What was seen in a third of a soak. */
class Third {
  readonly latencies = new Latencies();
  readonly looks: Resources[] = [];
  readonly memory: Memory[] = [];

  get resident(): number {
    return mean(this.memory.map(({ resident }) => resident));
  }

  get heap(): number {
    return mean(this.memory.map(({ heap }) => heap));
  }

  get descriptors(): number {
    return mean(this.looks.map(({ descriptors }) => descriptors));
  }

  get p50(): number {
    return this.latencies.percentile(50);
  }

  get p99(): number {
    return this.latencies.percentile(99);
  }

  get liveP99(): number {
    return this.latencies.livePercentile(99);
  }
}

/** Figures of which a third has one. */
type Figure = 'resident' | 'heap' | 'descriptors' | 'p50' | 'p99' | 'liveP99';

/** Mixed traffic to one process for some minutes, and what is seen meanwhile; the first third is the warm-up. */
export class Soak {
  readonly traffic: MixedTraffic;
  readonly output: OutputWatch;
  private readonly middle = new Third();
  private readonly last = new Third();
  private readonly thirds = [new Third(), this.middle, this.last];
  private readonly start = performance.now();
  private minute = new Latencies();

  /** Begins to watch; `run` begins the traffic. */
  constructor(
    private readonly api: { url: string; child: ChildProcess },
    private readonly watch: ResourceWatch,
    history: History,
    private readonly minutes: number,
  ) {
    this.traffic = new MixedTraffic(api.url, history, (ms, isLive) => {
      this.third.latencies.add(ms, isLive);
      this.minute.add(ms, isLive);
    });
    this.output = new OutputWatch(api.child, (memory) => this.third.memory.push(memory));
  }

  /** Resolves when the time is over, or earlier when too much goes wrong. */
  async run(): Promise<void> {
    const over = new AbortController();
    await Promise.all([this.lookUntil(over.signal), this.traffic.run().finally(() => over.abort())]);
  }

  /** How many times what was held in the middle third is held in the last one, on average. */
  growth(figure: Figure): number {
    return this.last[figure] / this.middle[figure];
  }

  /**
   * How many times the p99 of the middle third the one of the last is, beyond what a request that does nothing became
   * slower at the same time: that is the machine.
   */
  slowdown(): number {
    return this.growth('p99') / Math.max(1, this.growth('liveP99'));
  }

  /** The most connections at any moment. */
  most(what: 'postgresConnections' | 'redisConnections'): number {
    return Math.max(...this.thirds.flatMap(({ looks }) => looks.map((look) => look[what])));
  }

  /** What was seen in the middle third and in the last one, and the most. */
  describe(): string {
    const both = (figure: Figure, unit: string): string =>
      `${this.middle[figure].toFixed(1)} to ${this.last[figure].toFixed(1)} ${unit}`;
    return [
      both('resident', 'MiB resident'),
      both('heap', 'MiB heap'),
      both('descriptors', 'descriptors'),
      both('p50', 'ms p50'),
      both('p99', 'ms p99'),
      both('liveP99', 'ms p99 of /health/live'),
      `at most ${this.most('postgresConnections')} connections to PostgreSQL and ${this.most('redisConnections')} to Redis`,
      this.traffic.describeHeavy(),
      `${this.output.slowRequests} slow requests, Redis late ${this.output.slowRedis} times`,
    ].join(', ');
  }

  private async lookUntil(over: AbortSignal): Promise<void> {
    for (let told = 0; !over.aborted; await delay(LOOK_MS)) {
      this.expectRunning();
      const look = await this.watch.look();
      this.third.looks.push(look);
      const minutes = Math.floor(this.elapsedMinutes);
      if (minutes > told) this.tell((told = minutes), look);
      if (minutes >= this.minutes) this.traffic.stop();
    }
  }

  private expectRunning(): void {
    const { exitCode, signalCode } = this.api.child;
    const how = exitCode ?? signalCode;
    if (how !== null) throw new Error(`the process ended with ${how}: ${this.output.complaints.join('\n')}`);
  }

  private tell(minutes: number, { residentMiB, descriptors }: Resources): void {
    const { requests, wrong } = this.traffic;
    const [p50, p99] = [50, 99].map((percent) => `p${percent} ${this.minute.percentile(percent).toFixed(1)} ms`);
    const errors = wrong.length + this.output.complaints.length;
    const held = `${residentMiB.toFixed(0)} MiB resident, ${descriptors} descriptors`;
    const done = `${minutes} of ${this.minutes} min: ${requests.toLocaleString('en')} requests, ${errors} errors`;
    process.stderr.write(`${done}, ${held}, ${p50}, ${p99}\n`);
    this.minute = new Latencies();
  }

  private get elapsedMinutes(): number {
    return (performance.now() - this.start) / 60_000;
  }

  private get third(): Third {
    return this.thirds[Math.floor((3 * this.elapsedMinutes) / this.minutes)] ?? this.last;
  }
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
