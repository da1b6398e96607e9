/** Runs a load now, or when its turn comes; `isAbandoned` tells then whether anybody still waits for it. */
type InTurn = <T>(load: () => Promise<T>, isAbandoned: () => boolean) => Promise<T>;

interface WaitingLoad<T> {
  result: Promise<T>;
  /** One for each reader: whether it has left. */
  readers: (() => boolean)[];
}

const NEVER = (): boolean => false;

/**
 * Shares equal loads without ever giving a reader what was loaded before it asked.
 *
 * A load that is under way may have begun before a change that the reader knows of: nobody joins it. The next one can be
 * shared by all who wait for it. So readers of a key take one connection at a time, however many they are.
 */
export class SharedLoads<T> {
  private readonly running = new Map<string, Promise<T>>();
  private readonly waiting = new Map<string, WaitingLoad<T>>();

  /** @param inTurn makes loads wait for each other; a load can be joined until it really begins */
  constructor(private readonly inTurn: InTurn = (load) => load()) {}

  /**
   * What `load` returns, or an equal one that begins after this call.
   *
   * @param key equal for loads that are equal
   * @param hasLeft whether the reader waits no more; a load without readers does not begin where `inTurn` sees to it
   * @throws what `load` or `inTurn` throws
   */
  next(key: string, load: () => Promise<T>, hasLeft = NEVER): Promise<T> {
    const existing = this.waiting.get(key);
    if (existing) {
      existing.readers.push(hasLeft);
      return existing.result;
    }
    const readers = [hasLeft];
    const result = this.loadNext(key, load, readers);
    this.waiting.set(key, { result, readers });
    return result;
  }

  private async loadNext(key: string, load: () => Promise<T>, readers: (() => boolean)[]): Promise<T> {
    try {
      // At least one turn of the microtasks, in which it is put in line.
      await this.running.get(key)?.catch(() => undefined);
      return await this.inTurn(
        () => {
          this.waiting.delete(key);
          return joined(this.running, key, load);
        },
        () => this.isAbandoned(key, readers),
      );
    } catch (error) {
      // Where it never began; another one may be in line where it did.
      if (this.waiting.get(key)?.readers === readers) this.waiting.delete(key);
      throw error;
    }
  }

  // Nobody may join it from here on.
  private isAbandoned(key: string, readers: readonly (() => boolean)[]): boolean {
    const isAbandoned = readers.every((hasLeft) => hasLeft());
    if (isAbandoned) this.waiting.delete(key);
    return isAbandoned;
  }
}

/** The work already under way under `key`, or `work` begun now. */
export function joined<T>(running: Map<string, Promise<T>>, key: string, work: () => Promise<T>): Promise<T> {
  const existing = running.get(key);
  if (existing) return existing;
  const started = work().finally(() => {
    if (running.get(key) === started) running.delete(key);
  });
  running.set(key, started);
  return started;
}
