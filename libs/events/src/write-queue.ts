import { AppError } from '@app/platform';

/** Items that may wait, and their characters; beyond either, new ones are refused. */
const MAX_WAITING = 10_000;
const MAX_WAITING_CHARACTERS = 64 * 1024 * 1024;

/**
 * Events that one statement stores, and their characters: whichever is reached first. The indexes of 1 MiB of numbers take
 * a third of a second, and everybody who comes meanwhile waits for them.
 */
export const MAX_STATEMENT = { events: 1000, characters: 1024 * 1024 };

/** Milliseconds that anything may wait to be stored: a database that fails slowly must not make callers hang. */
export const MAX_WAIT_MS = 5000;

interface Waiting<Item, Result> {
  item: Item;
  size: number;
  since: number;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/**
 * Hands everything that is waiting to one call of `flush` at a time. While one is under way newcomers wait; the first
 * one never does. A group commit, as in PostgreSQL's own `commit_siblings`, but without a delay.
 */
export class WriteQueue<Item, Result> {
  private waiting: Waiting<Item, Result>[] = [];
  private characters = 0;
  private flushing: Promise<void> | undefined;

  /** @param flush the result of each item, or the error that it alone fails with, in the order of the items */
  constructor(private readonly flush: (items: readonly Item[]) => Promise<(Result | AppError)[]>) {}

  /**
   * Resolves with the result of `item`, of `size` characters.
   *
   * @throws AppError `unavailable` when too much is waiting; what the flush threw
   */
  add(item: Item, size: number): Promise<Result> {
    if (this.waiting.length >= MAX_WAITING || this.characters + size > MAX_WAITING_CHARACTERS) {
      return Promise.reject(tooManyWaiting());
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, size, since: performance.now(), resolve, reject });
      this.characters += size;
      this.flushing ??= this.flushAll();
    });
  }

  /** Resolves once nothing waits. */
  async drained(): Promise<void> {
    while (this.flushing) await this.flushing;
  }

  private async flushAll(): Promise<void> {
    while (this.waiting.length > 0) {
      this.refuseOld();
      const taken = this.take();
      if (taken.length > 0) await this.flushSome(taken);
    }
    // In the same turn that finds nothing waiting: who comes next starts a flush of its own.
    this.flushing = undefined;
  }

  private async flushSome(taken: Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.flush(taken.map(({ item }) => item));
      taken.forEach((each, place) => settle(each, results[place]));
    } catch (error) {
      for (const { reject } of taken) reject(error);
    }
  }

  private refuseOld(): void {
    const limit = performance.now() - MAX_WAIT_MS;
    while (this.waiting[0] && this.waiting[0].since < limit) this.takeFirst(1)[0]?.reject(tooManyWaiting());
  }

  private take(): Waiting<Item, Result>[] {
    let count = 0;
    let characters = 0;
    for (const { size } of this.waiting) {
      if (count > 0 && (count >= MAX_STATEMENT.events || characters + size > MAX_STATEMENT.characters)) break;
      count++;
      characters += size;
    }
    return this.takeFirst(count);
  }

  private takeFirst(count: number): Waiting<Item, Result>[] {
    const taken = this.waiting.splice(0, count);
    for (const { size } of taken) this.characters -= size;
    return taken;
  }
}

/** Said to who comes when too much is waiting, or has waited for too long. */
export const TOO_MANY_WAITING = 'Too many events are waiting to be stored; try again.';

function tooManyWaiting(): AppError {
  return new AppError('unavailable', TOO_MANY_WAITING);
}

function settle<Result>({ resolve, reject }: Waiting<unknown, Result>, result: Result | AppError | undefined): void {
  if (result === undefined) reject(new Error('the flush gave no result for an event'));
  else if (result instanceof AppError) reject(result);
  else resolve(result);
}
