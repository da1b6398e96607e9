import { randomUUID } from 'node:crypto';
import type { Cache } from 'cache-manager';

/** A lease outlives the values stored under it; one that is lost early costs a miss, no more. */
const LEASE_TTL_FACTOR = 2;

/** Characters of a value worth keeping: a larger one takes Redis longer than the time limit of a command. */
const MAX_VALUE_CHARACTERS = 1024 * 1024;

/**
 * Reads through a cache that several processes may share, without ever serving what was true before an
 * acknowledged change.
 *
 * A value is stored with the lease that was in force before it was loaded, and it is a hit only while that lease is
 * still there. A change removes the lease after its commit and before its answer, so a slow reader fills the cache
 * with a value that nobody takes. (Leases as in Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section
 * 3.2.1.) Loads of one key under one lease are shared within the process.
 *
 * A cache that fails is a miss, never an error.
 */
export class CacheService {
  private readonly leases = new Map<string, Promise<string | undefined>>();
  private readonly loads = new Map<string, Promise<string>>();

  /** @param cache `undefined` is no cache: everything is loaded */
  constructor(
    private readonly cache: Cache | undefined,
    private readonly prefix: string,
  ) {}

  /**
   * The value under `key`, or what `load` returns, kept for `ttlMs` milliseconds.
   *
   * @throws what `load` throws; nothing is kept then
   */
  async getOrLoad(key: string, ttlMs: number, load: () => Promise<string>): Promise<string> {
    if (this.cache === undefined) return load();
    const [found, existing] = await this.cache.mget<unknown>([this.valueKey(key), this.leaseKey(key)]);
    if (typeof existing === 'string' && typeof found === 'string' && found.startsWith(`${existing}\n`)) {
      return found.slice(existing.length + 1);
    }
    const cache = this.cache;
    const lease =
      typeof existing === 'string' ? existing : await joined(this.leases, key, () => this.takeLease(cache, key, ttlMs));
    if (lease === undefined) return load();
    return joined(this.loads, `${key}\n${lease}`, () => this.fill(cache, key, ttlMs, lease, load));
  }

  /** Makes every later read of `keys` see what is committed now. Call it after the commit and before the answer. */
  async invalidate(keys: readonly string[]): Promise<void> {
    const stored = keys.flatMap((key) => [this.leaseKey(key), this.valueKey(key)]);
    await Promise.all(this.cache?.stores.map((store) => store.deleteMany(stored)) ?? []);
  }

  /**
   * Resolves when the cache can be used. After a failure this, like a read, is what finds out that it is back.
   *
   * @throws whatever its client says
   */
  async ping(): Promise<void> {
    await Promise.all(this.cache?.stores.map((store) => store.getMany([this.valueKey('ping')])) ?? []);
  }

  // Without a confirmed lease nothing may be stored: a write that timed out can still arrive, after a change.
  private async takeLease(cache: Cache, key: string, ttlMs: number): Promise<string | undefined> {
    const lease = randomUUID();
    try {
      await cache.set(this.leaseKey(key), lease, ttlMs * LEASE_TTL_FACTOR);
      return lease;
    } catch {
      return undefined;
    }
  }

  private async fill(
    cache: Cache,
    key: string,
    ttlMs: number,
    lease: string,
    load: () => Promise<string>,
  ): Promise<string> {
    const value = await load();
    if (value.length <= MAX_VALUE_CHARACTERS) {
      await cache.set(this.valueKey(key), `${lease}\n${value}`, ttlMs).catch(() => undefined);
    }
    return value;
  }

  private valueKey(key: string): string {
    return `${this.prefix}${key}`;
  }

  private leaseKey(key: string): string {
    return `${this.prefix}lease:${key}`;
  }
}

/** The work already under way under `key`, or `work` begun now. */
function joined<T>(running: Map<string, Promise<T>>, key: string, work: () => Promise<T>): Promise<T> {
  const existing = running.get(key);
  if (existing) return existing;
  const started = work().finally(() => running.delete(key));
  running.set(key, started);
  return started;
}
