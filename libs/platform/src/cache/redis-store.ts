import { randomUUID } from 'node:crypto';
import { redisInsStore } from 'cache-manager-ioredis-yet';
import type Redis from 'ioredis';
import type { KeyvStoreAdapter, StoredData } from 'keyv';
import { leaseCommands, type LeaseCommands } from './lease-scripts';
import { isMark, type LeaseKey, type Leases } from './leases';

/** Milliseconds that a command may take. */
const TIME_LIMIT_MS = 200;

/**
 * Leases that one script may mark or release. Redis serves nobody else meanwhile: the 10,000 types that a batch may have
 * would take longer than a command may.
 */
const MAX_KEYS = 500;

const TIMED_OUT = 'Command timed out';

/** Milliseconds between two attempts to use Redis again. */
const RETRY_MS = 250;

/** Milliseconds between two warnings of foreign values: whoever writes them may do so all the time. */
const FOREIGN_WARNING_MS = 60_000;

/** How a value begins that Keyv has written. */
const OURS = '{"value":';

/** Stands for a value that could not even be read. */
const FOREIGN = Symbol('foreign');

/** Who is told what becomes of Redis. */
export interface RedisObserver {
  /** Once when Redis becomes unavailable, and once when it is used again. */
  changed: (available: boolean, reason: string) => void;
  /** A value that is not ours was read past under this key; at most once a minute. */
  foreign: (key: string) => void;
}

/** What cache-manager-ioredis-yet offers; its own types extend one that cache-manager 7 no longer has. */
interface IoredisStore {
  get(key: string): Promise<unknown>;
  mget(...keys: string[]): Promise<unknown[]>;
  set(key: string, value: unknown, ttlMs?: number): Promise<void>;
  mdel(...keys: string[]): Promise<void>;
}

/**
 * Redis behind a circuit breaker, for Keyv. The first command that gets no answer costs its time-out; from then on
 * commands fail at once, until an attempt in the background succeeds. What Redis holds by then may miss removals, ours
 * or those of before its restart: the attempt removes the epoch first, without which no cached value is taken.
 */
export class RedisStore implements KeyvStoreAdapter, Leases {
  opts: unknown;
  namespace?: string;
  private readonly redis: IoredisStore;
  private readonly leases: LeaseCommands;
  /** Why Redis is not used, in words for anybody; `undefined` while it is. */
  private problem: string | undefined;
  private missedRemoval = false;
  private timer: NodeJS.Timeout | undefined;
  // A Redis that comes back may be one that was restarted from an older state.
  private readonly onClose = (): void => this.giveUp(new Error('the connection was lost'));
  private nextForeignWarning = 0;

  /**
   * @param epochKey the key whose removal makes every cached value void
   * @param markMs how long the mark of a change lasts
   */
  constructor(
    private readonly client: Redis,
    private readonly epochKey: string,
    private readonly markMs: number,
    private readonly observer: RedisObserver,
  ) {
    this.redis = redisInsStore(client) as unknown as IoredisStore;
    this.leases = leaseCommands(client);
    client.on('close', this.onClose);
  }

  async get<Value>(key: string): Promise<StoredData<Value> | undefined> {
    return this.run(() => this.redis.get(key)) as Promise<StoredData<Value> | undefined>;
  }

  /** What is not ours is missing, and replaced by what is stored next. */
  async getMany<Value>(keys: string[]): Promise<StoredData<Value | undefined>[]> {
    const values = await this.run(() => this.read(keys));
    void this.lookForOtherTypes(keys.filter((_key, place) => isMissing(values[place])));
    const foreign = values.findIndex((value) => !isOurs(value));
    if (foreign === -1) return values as StoredData<Value | undefined>[];
    this.warnOfForeign(keys[foreign]);
    return values.map((value) => (isOurs(value) ? value : undefined)) as StoredData<Value | undefined>[];
  }

  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    await this.run(() => this.redis.set(key, value, ttl));
    return true;
  }

  async delete(key: string): Promise<boolean> {
    return this.deleteMany([key]);
  }

  async deleteMany(keys: string[]): Promise<boolean> {
    await this.makeVoid(keys, () => this.redis.mdel(...keys));
    return true;
  }

  async take(keys: readonly LeaseKey[]): Promise<string[] | undefined> {
    const names = keys.map(({ key }) => key);
    const times = keys.map(({ ttlMs }) => String(ttlMs));
    try {
      const tokens = await this.run(() => this.leases.takeLeases(keys.length, ...names, randomUUID(), ...times));
      return tokens.some(isMark) ? undefined : tokens;
    } catch {
      return undefined;
    }
  }

  async announce(leases: readonly string[], id: string): Promise<void> {
    for (let start = 0; start < leases.length; start += MAX_KEYS) {
      const some = leases.slice(start, start + MAX_KEYS);
      await this.makeVoid(some, () => this.leases.markLeases(some.length, ...some, id, String(this.markMs)));
    }
  }

  doubt(leases: readonly string[], id: string): Promise<void> {
    return this.announce(leases, id);
  }

  async release(leases: readonly string[], values: readonly string[], id: string): Promise<void> {
    for (let start = 0; start < Math.max(leases.length, values.length); start += MAX_KEYS) {
      const some = leases.slice(start, start + MAX_KEYS);
      const keys = [...some, ...values.slice(start, start + MAX_KEYS)];
      await this.makeVoid(keys, () => this.leases.releaseLeases(keys.length, ...keys, id, String(some.length)));
    }
  }

  /** @throws always: it would be FLUSHDB, which removes what others keep in the same Redis */
  clear(): Promise<void> {
    return Promise.reject(new Error('the cache cannot be cleared'));
  }

  on(): this {
    return this;
  }

  /** Makes up for removals that failed, where Redis answers, and ends the connection. */
  async close(): Promise<void> {
    if (this.problem !== undefined) await this.tryAgain();
    clearTimeout(this.timer);
    this.client.off('close', this.onClose);
    // `quit` fails when there is no connection; there is nothing to close then but the attempts to reconnect.
    await this.client.quit().catch(() => this.client.disconnect());
  }

  // One that is no JSON hides the others; one after the other they are found, a lease before what stands under it.
  private async read(keys: string[]): Promise<unknown[]> {
    try {
      return await this.redis.mget(...keys);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return Promise.all(keys.map((key) => this.redis.get(key).catch(unlessForeign)));
    }
  }

  // MGET takes a value of another type for a missing one. Nobody waits to be told: meanwhile what is missing might be
  // stored, and would be loaded once more.
  private async lookForOtherTypes(missing: string[]): Promise<void> {
    if (missing.length === 0 || !this.mayWarn()) return;
    try {
      const types = await Promise.all(missing.map((key) => this.client.type(key)));
      const foreign = types.findIndex((type) => type !== 'none' && type !== 'string');
      if (foreign !== -1) this.warnOfForeign(missing[foreign]);
    } catch {
      // A Redis that is away is found by the commands that matter.
    }
  }

  // Never fails. A Redis that refuses a script still removes; after what got no answer everything is removed before
  // anything is read.
  private async makeVoid(keys: readonly string[], command: () => Promise<unknown>): Promise<void> {
    if (this.problem === undefined) {
      try {
        await inTime(command).catch((error: unknown) => {
          if (!isReply(error)) throw error;
          return inTime(() => this.redis.mdel(...keys));
        });
        return;
      } catch (error) {
        this.giveUp(error);
      }
    }
    this.missedRemoval = true;
  }

  /** @throws Error whose message is for anybody: nothing of what the client says is repeated */
  private async run<T>(command: () => Promise<T>): Promise<T> {
    if (this.problem !== undefined) throw new Error(`Redis is not used: ${this.problem}`);
    try {
      return await inTime(command);
    } catch (error) {
      // A reply, also one that refuses (out of memory), proves that Redis answers.
      if (!isReply(error)) this.giveUp(error);
      throw new Error(`Redis: ${problemOf(error)}`, { cause: error });
    }
  }

  private giveUp(error: unknown): void {
    this.missedRemoval = true;
    if (this.problem !== undefined) return;
    this.problem = problemOf(error);
    this.observer.changed(false, reasonOf(error));
    this.tryLater();
  }

  private warnOfForeign(key = ''): void {
    if (!this.mayWarn()) return;
    this.nextForeignWarning = performance.now() + FOREIGN_WARNING_MS;
    this.observer.foreign(key);
  }

  private mayWarn(): boolean {
    return performance.now() >= this.nextForeignWarning;
  }

  private tryLater(): void {
    this.timer = setTimeout(() => void this.tryAgain(), RETRY_MS).unref();
  }

  private async tryAgain(): Promise<void> {
    try {
      // Again when a change was made meanwhile: another process may have cached what was before it.
      while (this.missedRemoval) {
        this.missedRemoval = false;
        await inTime(() => this.client.del(this.epochKey));
      }
      this.problem = undefined;
      this.observer.changed(true, 'it answers again');
    } catch {
      this.missedRemoval = true;
      this.tryLater();
    }
  }
}

// The client's own limit also ends commands that were answered in time, where this process had no time to read it:
// many requests at once would look like a Redis that is away, and all go to the database.
function inTime<T>(command: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(new Error(TIMED_OUT));
    // After what has arrived meanwhile was read.
    const timer = setTimeout(() => setImmediate(giveUp), TIME_LIMIT_MS);
    void command()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

/** What went wrong, without what a client may say of addresses and accounts. */
function problemOf(error: unknown): string {
  const reason = reasonOf(error);
  if (isReply(error)) return `it refuses a command (${/^[A-Z]+/.exec(reason)?.[0] ?? 'ERR'})`;
  return reason === TIMED_OUT ? 'it does not answer in time' : 'there is no connection';
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}

function isOurs(value: unknown): boolean {
  return isMissing(value) || (typeof value === 'string' && value.startsWith(OURS));
}

/** A foreign value, where reading it failed as it is no JSON or of another type. */
function unlessForeign(error: unknown): unknown {
  if (error instanceof SyntaxError || isReply(error)) return FOREIGN;
  throw error;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
