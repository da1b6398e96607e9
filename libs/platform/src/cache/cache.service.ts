import { randomUUID } from 'node:crypto';
import type { Cache } from 'cache-manager';

/** A lease outlives the values stored under it; one that is lost early costs a miss, no more. */
const LEASE_TTL_FACTOR = 2;

/** The epoch is the lease of everything: its removal makes every value void. */
const EPOCH_TTL_MS = 24 * 60 * 60 * 1000;

const PING_TTL_MS = 1000;

/** The key of the epoch, under the prefix of all our keys. */
export const epochKeyOf = (prefix: string): string => `${prefix}lease:`;

/** Characters of a value worth keeping: a larger one takes Redis longer than the time limit of a command. */
const MAX_VALUE_CHARACTERS = 1024 * 1024;

/**
 * Reads through a cache that several processes may share, without ever serving what was true before an
 * acknowledged change.
 *
 * A value is stored with the lease of its key that was in force before it was loaded, and it is a hit only while that
 * lease is still there. A change removes the lease after its commit and before its answer, so a slow reader fills the cache
 * with a value that nobody takes. (Leases as in Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section
 * 3.2.1.) Loads of one key under one lease are shared within the process.
 *
 * A cache that fails is a miss, never an error.
 */
export class CacheService {
  private readonly epochKey: string;
  private readonly tokens = new Map<string, Promise<string | undefined>>();
  private readonly loads = new Map<string, Promise<string>>();
  private readonly unkept = new Map<string, Promise<string>>();
  private readonly waiting = new Map<string, Promise<string>>();

  /** @param cache `undefined` is no cache: everything is loaded */
  constructor(
    private readonly cache: Cache | undefined,
    private readonly prefix: string,
  ) {
    this.epochKey = epochKeyOf(prefix);
  }

  /**
   * The value under `key`, or what `load` returns, kept for `ttlMs` milliseconds.
   *
   * @throws what `load` throws; nothing is kept then
   */
  async getOrLoad(key: string, ttlMs: number, load: () => Promise<string>): Promise<string> {
    const { cache } = this;
    if (cache === undefined) return load();
    const [epochKey, leaseKey, valueKey] = [this.epochKey, this.leaseKey(key), this.valueKey(key)];
    const [epoch, lease, found] = await cache.mget<unknown>([epochKey, leaseKey, valueKey]);
    if (typeof epoch === 'string' && typeof lease === 'string' && typeof found === 'string') {
      const grant = `${epoch} ${lease}\n`;
      if (found.startsWith(grant)) return found.slice(grant.length);
    }
    const tokens = await Promise.all([
      this.token(cache, epochKey, epoch, EPOCH_TTL_MS),
      this.token(cache, leaseKey, lease, ttlMs * LEASE_TTL_FACTOR),
    ]);
    if (tokens.includes(undefined)) return this.loadNext(key, load);
    const grant = `${tokens.join(' ')}\n`;
    return joined(this.loads, `${key}\n${grant}`, () => this.fill(cache, valueKey, ttlMs, grant, load));
  }

  /** Makes every later read of `keys` see what is committed now. Call it after the commit and before the answer. */
  async invalidate(keys: readonly string[]): Promise<void> {
    const stored = keys.flatMap((key) => [this.leaseKey(key), this.valueKey(key)]);
    await Promise.all(this.cache?.stores.map((store) => store.deleteMany(stored)) ?? []);
  }

  /**
   * Resolves when the cache can be read and written.
   *
   * @throws Error with the reason, in words for anybody
   */
  async ping(): Promise<void> {
    await this.cache?.set(this.valueKey('ping'), '', PING_TTL_MS);
  }

  // The token in force, or a new one. Without one that is confirmed nothing may be stored: a write that timed out can
  // still arrive, after a change.
  private token(cache: Cache, key: string, existing: unknown, ttlMs: number): Promise<string | undefined> {
    if (typeof existing === 'string') return Promise.resolve(existing);
    return joined(this.tokens, key, async () => {
      const token = randomUUID();
      return cache.set(key, token, ttlMs).catch(() => undefined);
    });
  }

  // Without a lease a load that is under way may be of before a change; the next one can be shared. Readers of a key then
  // take one connection at a time, however many they are.
  private loadNext(key: string, load: () => Promise<string>): Promise<string> {
    const running = this.unkept.get(key);
    if (running === undefined && !this.waiting.has(key)) return joined(this.unkept, key, load);
    return joined(this.waiting, key, async () => {
      await running?.catch(() => undefined);
      this.waiting.delete(key);
      return joined(this.unkept, key, load);
    });
  }

  private async fill(
    cache: Cache,
    valueKey: string,
    ttlMs: number,
    grant: string,
    load: () => Promise<string>,
  ): Promise<string> {
    const value = await load();
    if (value.length <= MAX_VALUE_CHARACTERS) {
      await cache.set(valueKey, grant + value, ttlMs).catch(() => undefined);
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
  const started = work().finally(() => {
    if (running.get(key) === started) running.delete(key);
  });
  running.set(key, started);
  return started;
}
