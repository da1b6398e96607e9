import { redisInsStore } from 'cache-manager-ioredis-yet';
import { circuitBreaker, ConsecutiveBreaker, handleWhen, type CircuitBreakerPolicy } from 'cockatiel';
import type Redis from 'ioredis';
import type { KeyvStoreAdapter, StoredData } from 'keyv';

/** Milliseconds without Redis after a failure, before one command tries it again. */
const RETRY_AFTER_MS = 1000;

/** Removals remembered while Redis is away; beyond them everything of ours is removed instead. */
const MAX_PENDING_REMOVALS = 10_000;

/** What cache-manager-ioredis-yet offers; its own types extend one that cache-manager 7 no longer has. */
interface IoredisStore {
  get(key: string): Promise<unknown>;
  mget(...keys: string[]): Promise<unknown[]>;
  set(key: string, value: unknown, ttlMs?: number): Promise<void>;
  mdel(...keys: string[]): Promise<void>;
}

/**
 * Redis behind a circuit breaker, for Keyv: the first failure costs its time-out, later commands fail at once, and one
 * command a second tries again. Removals that failed are made up for before anything is read again, so a value that a
 * change should have removed is never served by this process.
 */
export class RedisStore implements KeyvStoreAdapter {
  opts: unknown;
  namespace?: string;
  private readonly redis: IoredisStore;
  private readonly breaker: CircuitBreakerPolicy;
  private readonly pendingRemovals = new Set<string>();
  private removeEverything = false;

  /** @param prefix of all our keys; the only ones ever removed in bulk */
  constructor(
    private readonly client: Redis,
    private readonly prefix: string,
    onChange: (available: boolean, reason: string) => void,
  ) {
    this.redis = redisInsStore(client) as unknown as IoredisStore;
    // A value that is no JSON is somebody else's: a miss, and no reason to give Redis up.
    const policy = handleWhen((error) => !(error instanceof SyntaxError));
    this.breaker = circuitBreaker(policy, { halfOpenAfter: RETRY_AFTER_MS, breaker: new ConsecutiveBreaker(1) });
    this.breaker.onBreak((failure) => onChange(false, 'error' in failure ? failure.error.message : 'no answer'));
    this.breaker.onReset(() => onChange(true, 'it answers again'));
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

  /** Never fails: what cannot be removed now is removed before the next read. */
  async deleteMany(keys: string[]): Promise<boolean> {
    try {
      await this.run(() => this.redis.mdel(...keys));
      return true;
    } catch {
      this.remember(keys);
      return false;
    }
  }

  /** @throws always: it would be FLUSHDB, which removes what others keep in the same Redis */
  clear(): Promise<void> {
    return Promise.reject(new Error('the cache cannot be cleared'));
  }

  on(): this {
    return this;
  }

  private run<T>(command: () => Promise<T>): Promise<T> {
    return this.breaker.execute(async () => {
      await this.catchUp();
      return command();
    });
  }

  private remember(keys: string[]): void {
    for (const key of keys) this.pendingRemovals.add(key);
    if (this.pendingRemovals.size > MAX_PENDING_REMOVALS) {
      this.pendingRemovals.clear();
      this.removeEverything = true;
    }
  }

  private async catchUp(): Promise<void> {
    if (this.removeEverything) {
      // Asked for again by a removal that fails meanwhile, or by this one.
      this.removeEverything = false;
      await this.removeLeases().catch((error: unknown) => {
        this.removeEverything = true;
        throw error;
      });
    }
    const keys = [...this.pendingRemovals];
    if (keys.length === 0) return;
    await this.client.del(keys);
    for (const key of keys) this.pendingRemovals.delete(key);
  }

  // No value is taken without its lease.
  private async removeLeases(): Promise<void> {
    for await (const keys of this.client.scanStream({ match: `${escapeGlob(this.prefix)}lease:*`, count: 1000 })) {
      if ((keys as string[]).length > 0) await this.client.del(keys as string[]);
    }
  }
}

function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}
