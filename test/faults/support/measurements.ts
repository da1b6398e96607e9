import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { measurementsFile, publishMeasurementsFile } from '../../support/environment';

/** What a test saw; what does not apply is left out. */
export interface Measurement {
  /** How often something was broken. */
  rounds?: number;
  requests?: number;
  /** Events; a batch has several. */
  acknowledged?: number;
  /** Acknowledged events that were not stored as they were sent. */
  lost?: number;
  /** Idempotency keys under which more than one event was stored. */
  duplicates?: number;
  /** Milliseconds, one for each round, from the end of the fault to the next request that succeeded. */
  recoveryMs?: number[];
  /** What else is worth telling, with its unit. */
  also?: string;
}

interface Line extends Measurement {
  test: string;
}

/** Opens the collection of a run; `report` closes it. */
export function openMeasurements(): void {
  publishMeasurementsFile(join(mkdtempSync(join(tmpdir(), 'eventdeck-measurements-')), 'lines'));
}

/** Notes what the test that is running saw, once it has asserted all of it. */
export function record(measurement: Measurement): void {
  const { currentTestName, testPath = '' } = expect.getState();
  const suite = /([^/\\]+)\.(?:fault|soak)-spec\.ts$/.exec(testPath)?.[1] ?? '';
  const line: Line = { test: `\`${suite}\`: ${currentTestName}`, ...measurement };
  appendFileSync(measurementsFile(), `${JSON.stringify(line)}\n`);
}

/** What the tests of the run saw, as a Markdown table; removes the collection. */
export function report(): string {
  const file = measurementsFile();
  const text = read(file);
  rmSync(dirname(file), { recursive: true });
  const rows = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => toRow(JSON.parse(line) as Line));
  const head = ['test', 'rounds', 'requests', 'events acknowledged', 'lost', 'duplicates', 'recovery, s', 'also'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function toRow({ test, rounds, requests, acknowledged, lost, duplicates, recoveryMs, also = '' }: Line): string[] {
  const counts = [rounds, requests, acknowledged, lost, duplicates].map((count) => count?.toLocaleString('en') ?? '');
  return [test, ...counts, recoveryMs ? range(recoveryMs) : '', also];
}

function range(ms: number[]): string {
  const [least, most] = [Math.min(...ms), Math.max(...ms)].map((each) => (each / 1000).toFixed(1));
  return least === most ? `${least}` : `${least} to ${most}`;
}
