import { setImmediate } from 'node:timers';

/** Milliseconds of a turn of the event loop that long work may take, all of it together. */
export const TURN_MS = 10;

/** When long work asked first in this turn of the event loop; `undefined` while none did. */
let since: number | undefined;

/** Long work whose turn comes, one in each turn of the event loop. */
const waiting: (() => void)[] = [];

/** Turns that everything else has before the next long work has one, and how many at most: a process may be stopped. */
let owed = 0;
const MAX_OWED = 100;

let isScheduled = false;

/**
 * Gives the event loop up, once all long work of the process has taken 10 ms of its turn together: other requests come
 * first then, and other long work in its order. Who could not stop in time gives a turn for each 10 ms: in one turn a
 * body comes on by 64 KiB, and many would meet their deadline otherwise. Asked often, at least after each millisecond
 * of work where that is possible: `const turn = giveTurn(); if (turn) await turn;`
 *
 * @returns `undefined` while there is time left: most calls cost a look at the clock
 */
export function giveTurn(): Promise<void> | undefined {
  const now = performance.now();
  if (since === undefined) {
    since = now;
    schedule();
  }
  const used = now - since;
  if (used < TURN_MS) return undefined;
  owed = Math.min(MAX_OWED, Math.max(owed, Math.floor(used / TURN_MS)));
  return new Promise((resolve) => waiting.push(resolve));
}

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(goOn);
}

function goOn(): void {
  isScheduled = false;
  since = undefined;
  if (waiting.length === 0) {
    owed = 0;
    return;
  }
  schedule();
  if (--owed > 0) return;
  since = performance.now();
  waiting.shift()?.();
}
