import { setImmediate } from 'node:timers';

/** Milliseconds of a turn of the event loop that long work may take, all of it together. */
export const TURN_MS = 10;

/** When long work asked first in this turn of the event loop; `undefined` while none did. */
let since: number | undefined;

/** Long work whose turn comes, one in each turn of the event loop. */
const waiting: (() => void)[] = [];

/**
 * Gives the event loop up, once all long work of the process has taken 10 ms of its turn together: other requests come
 * first then, and other long work in its order. Asked often, at least after each millisecond of work:
 * `const turn = giveTurn(); if (turn) await turn;`
 *
 * @returns `undefined` while there is time left: most calls cost a look at the clock
 */
export function giveTurn(): Promise<void> | undefined {
  const now = performance.now();
  if (since === undefined) begin(now);
  else if (now - since >= TURN_MS) return new Promise((resolve) => waiting.push(resolve));
  return undefined;
}

function begin(now: number): void {
  since = now;
  setImmediate(goOn);
}

function goOn(): void {
  since = undefined;
  const next = waiting.shift();
  if (!next) return;
  begin(performance.now());
  next();
}
