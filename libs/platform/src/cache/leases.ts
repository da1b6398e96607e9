/**
 * The leases under which cached values hold, beside the values.
 *
 * A lease is a random token under a key. Whoever changes what the key stands for puts a mark in its place before the
 * commit and removes that after it; while a mark is there, nothing is kept and nothing that was kept is taken. A mark ends
 * by itself: a process that dies between the two leaves a lease that is missing, which is a miss.
 *
 * No method fails; what a store cannot do is made up for by itself before anything is read again.
 */
export interface Leases {
  /**
   * The tokens in force under `keys`: those that are there, else new ones for as many milliseconds.
   *
   * @returns `undefined` where it is not certain that all of them are in force, or one is a mark
   */
  take(keys: readonly LeaseKey[]): Promise<string[] | undefined>;

  /** Before a commit: marks leases for the change known by `id`. Others' marks stay beside it. */
  announce(leases: readonly string[], id: string): Promise<void>;

  /** After a commit of which nobody knows whether it happened, or may happen yet: marks them from now on. */
  doubt(leases: readonly string[], id: string): Promise<void>;

  /** Removes leases, and the values under them; of marks only the one known by `id`. */
  release(leases: readonly string[], values: readonly string[], id: string): Promise<void>;
}

/** A lease to take, and how long a new one lasts. */
export interface LeaseKey {
  key: string;
  ttlMs: number;
}

/** How the text of a mark begins; no token does. */
const MARK = '!';

export function isMark(token: unknown): boolean {
  return typeof token === 'string' && token.startsWith(MARK);
}
