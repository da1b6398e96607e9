import type { ApiProcess } from '../../support/api-process';

/** Milliseconds in which a process has to be gone after SIGTERM; a supervisor kills what takes longer. */
const LIMIT_MS = 25_000;

/** How a process ended, and how many milliseconds after the signal. */
export interface End {
  code: number | null;
  ms: number;
}

/** Tells a process to end. @throws when it still runs after 25 s */
export async function endInTime(api: ApiProcess): Promise<End> {
  const start = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    const error = new Error(`it still runs ${LIMIT_MS} ms after SIGTERM:\n${api.output()}`);
    timer = setTimeout(() => reject(error), LIMIT_MS);
  });
  try {
    return { code: await Promise.race([api.stop('SIGTERM'), tooLate]), ms: performance.now() - start };
  } finally {
    clearTimeout(timer);
  }
}

/** The longest of these times, for the figures of a run. */
export function goneAfter(ends: End[]): string {
  return `gone ${(Math.max(...ends.map(({ ms }) => ms)) / 1000).toFixed(1)} s after the signal at most`;
}
