import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { isMark, type LeaseKey, type Leases } from './leases';

/** Characters of keys and values that the in-process cache may hold: about 64 MiB. */
const MAX_CHARACTERS = 32 * 1024 * 1024;

/** What Keyv hands to a store: the value, and when it ends. */
interface KeptValue {
  value: string;
}

/** Values and leases in the process, for Keyv. They end with it, so only a commit in doubt needs marks. */
export class MemoryStore implements Leases {
  private readonly entries = new LRUCache<string, KeptValue>({
    maxSize: MAX_CHARACTERS,
    sizeCalculation: ({ value }, key) => value.length + key.length,
  });

  /** @param markMs how long a mark lasts */
  constructor(private readonly markMs: number) {}

  get(key: string): KeptValue | undefined {
    return this.entries.get(key);
  }

  getMany(keys: string[]): (KeptValue | undefined)[] {
    return keys.map((key) => this.entries.get(key));
  }

  set(key: string, value: KeptValue, ttlMs?: number): void {
    this.entries.set(key, value, ttlMs === undefined ? {} : { ttl: ttlMs });
  }

  delete(key: string): boolean {
    return this.entries.delete(key);
  }

  clear(): void {
    this.entries.clear();
  }

  take(keys: readonly LeaseKey[]): Promise<string[] | undefined> {
    const tokens = keys.map(({ key, ttlMs }) => {
      const held = this.entries.get(key)?.value;
      if (held !== undefined) return held;
      const token = randomUUID();
      this.set(key, { value: token }, ttlMs);
      return token;
    });
    return Promise.resolve(tokens.some(isMark) ? undefined : tokens);
  }

  announce(): Promise<void> {
    return Promise.resolve();
  }

  doubt(leases: readonly string[], id: string): Promise<void> {
    for (const key of leases) this.set(key, { value: `!${id}` }, this.markMs);
    return Promise.resolve();
  }

  release(leases: readonly string[], values: readonly string[], id: string): Promise<void> {
    for (const key of leases) {
      const held = this.entries.get(key)?.value;
      if (!isMark(held) || held === `!${id}`) this.delete(key);
    }
    for (const key of values) this.delete(key);
    return Promise.resolve();
  }
}
