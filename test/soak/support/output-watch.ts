import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** What a process holds of memory, in MiB, right after its garbage was collected. */
export interface Memory {
  /** All that the system has given it. */
  resident: number;
  /** Objects of JavaScript. */
  heap: number;
}

/** `NODE_OPTIONS` for a process that runs as `npm start` runs it, and tells its memory. */
export const NODE_OPTIONS = `--max-semi-space-size=8 --require ${join(__dirname, 'tell-memory.cjs')}`;

/**
 * Lines that are no matter, of what only took long, of 503, which its client judges, and of `tell-memory.cjs`.
 */
const INFO = '{"level":"info",';
const SLOW = /^\{"level":"warn",.*"status":[2-4]\d\d,.*"msg":"request"\}$/;
const SLOW_REDIS = '"msg":"Redis is not available, reading from the database: Command timed out"';
const REFUSED = '"msg":"requests are answered with 503: ';
const MEMORY = '{"level":"info","msg":"memory",';

const MAX_COMPLAINTS = 20;

/** Reads what a process writes: its memory, and what it logs as a warning or worse or writes to standard error. */
export class OutputWatch {
  /** Requests that took long. */
  slowRequests = 0;
  /** How often Redis had no time of 200 ms to answer, or the process none to read it: a machine that stands still. */
  slowRedis = 0;
  /** The first warnings and errors of any other kind. */
  readonly complaints: string[] = [];

  /** @param onMemory told every ten seconds */
  constructor(
    { stdout, stderr }: ChildProcess,
    private readonly onMemory: (memory: Memory) => void,
  ) {
    for (const stream of [stdout, stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.take(line));
    }
  }

  private take(line: string): void {
    if (line.startsWith(MEMORY)) this.onMemory(toMemory(line));
    else if (SLOW.test(line)) this.slowRequests++;
    else if (line.includes(SLOW_REDIS)) this.slowRedis++;
    else if (!line.startsWith(INFO) && !line.includes(REFUSED) && this.complaints.length < MAX_COMPLAINTS)
      this.complaints.push(line);
  }
}

function toMemory(line: string): Memory {
  const { rss, heapUsed } = JSON.parse(line) as { rss: number; heapUsed: number };
  return { resident: rss / 1024 ** 2, heap: heapUsed / 1024 ** 2 };
}
