import { redisInsStore } from 'cache-manager-ioredis-yet';
import type Redis from 'ioredis';
import type { KeyvStoreAdapter, StoredData } from 'keyv';

/** Milliseconds between two attempts to use Redis again. */
const RETRY_MS = 250;

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
export class RedisStore implements KeyvStoreAdapter {
  opts: unknown;
  namespace?: string;
  private readonly redis: IoredisStore;
  private usable = true;
  private missedRemoval = false;
  private timer: NodeJS.Timeout | undefined;
  // A Redis that comes back may be one that was restarted from an older state.
  private readonly onClose = (): void => this.giveUp('the connection was lost');

  /**
   * @param epochKey the key whose removal makes every cached value void
   * @param onChange told once when Redis becomes unavailable, and once when it is used again
   */
  constructor(
    private readonly client: Redis,
    private readonly epochKey: string,
    private readonly onChange: (available: boolean, reason: string) => void,
  ) {
    this.redis = redisInsStore(client) as unknown as IoredisStore;
    client.on('close', this.onClose);
  }

  async get<Value>(key: string): Promise<StoredData<Value> | undefined> {
    return this.run(() => this.redis.get(key)) as Promise<StoredData<Value> | undefined>;
  }

  async getMany<Value>(keys: string[]): Promise<StoredData<Value | undefined>[]> {
    return this.run(() => this.redis.mget(...keys)) as Promise<StoredData<Value | undefined>[]>;
  }

  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    await this.run(() => this.redis.set(key, value, ttl));
    return true;
  }

  async delete(key: string): Promise<boolean> {
    return this.deleteMany([key]);
  }

  /** Never fails: after a removal that failed, everything is removed before anything is read. */
  async deleteMany(keys: string[]): Promise<boolean> {
    if (this.usable) {
      try {
        await this.redis.mdel(...keys);
        return true;
      } catch (error) {
        this.giveUp(reasonOf(error));
      }
    }
    this.missedRemoval = true;
    return false;
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
    if (!this.usable) await this.tryAgain();
    clearTimeout(this.timer);
    this.client.off('close', this.onClose);
    // `quit` fails when there is no connection; there is nothing to close then but the attempts to reconnect.
    await this.client.quit().catch(() => this.client.disconnect());
  }

  private async run<T>(command: () => Promise<T>): Promise<T> {
    if (!this.usable) throw new Error('Redis is not available');
    try {
      return await command();
    } catch (error) {
      // A reply, also one that refuses (out of memory), and a foreign value, which is no JSON, prove that Redis answers.
      if (!(error instanceof SyntaxError) && !isReply(error)) this.giveUp(reasonOf(error));
      throw error;
    }
  }

  private giveUp(reason: string): void {
    this.missedRemoval = true;
    if (!this.usable) return;
    this.usable = false;
    this.onChange(false, reason);
    this.tryLater();
  }

  private tryLater(): void {
    this.timer = setTimeout(() => void this.tryAgain(), RETRY_MS).unref();
  }

  private async tryAgain(): Promise<void> {
    try {
      // Again when a change was made meanwhile: another process may have cached what was before it.
      while (this.missedRemoval) {
        this.missedRemoval = false;
        await this.client.del(this.epochKey);
      }
      this.usable = true;
      this.onChange(true, 'it answers again');
    } catch {
      this.missedRemoval = true;
      this.tryLater();
    }
  }
}

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
