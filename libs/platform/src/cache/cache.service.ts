import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { Cache } from 'cache-manager';
import { isUnavailable } from '../database/database-fault';
import type { DatabaseIdentity } from '../database/database-identity';
import { isMark, type Leases } from './leases';
import { joined, SharedLoads } from './shared-loads';

/** A lease outlives the values stored under it; one that is lost early costs a miss, no more. */
const LEASE_TTL_FACTOR = 2;

/** The epoch is the lease of everything: its removal makes every value void. */
const EPOCH_TTL_MS = 24 * 60 * 60 * 1000;

const PING_TTL_MS = 1000;

/** The key of the epoch, under the prefix of all our keys. */
export const epochKeyOf = (prefix: string): string => `${prefix}lease:`;

/** How a value begins that was loaded from this database under these tokens. */
const grantOf = (identity: string, tokens: readonly string[]): string => `${identity} ${tokens.join(' ')}\n`;

/** Characters of a value worth keeping: a larger one takes Redis longer than the time limit of a command. */
const MAX_VALUE_CHARACTERS = 1024 * 1024;

/** Where values and their leases are. */
export interface CacheStores {
  values: Cache;
  leases: Leases;
}

/**
 * Reads through a cache that several processes may share, without ever serving what was true before an
 * acknowledged change.
 *
 * A value is stored with the lease of its key that was in force before it was loaded, and it is a hit only while that
 * lease is still there. A change marks the lease before its commit and removes it after that and before its answer, so a
 * slow reader fills the cache with a value that nobody takes, and a process that dies between the two leaves nothing that
 * anybody takes. (Leases as in Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1.) Loads of one
 * key under one lease are shared within the process.
 *
 * Values also carry the identity of the database that they were loaded from: those of another one are never taken.
 *
 * A cache that fails is a miss, never an error.
 */
export class CacheService {
  private readonly logger = new Logger(CacheService.name);
  private hasWarned = false;
  private readonly epochKey: string;
  private readonly tokens = new Map<string, Promise<string[] | undefined>>();
  private readonly loads = new Map<string, Promise<string>>();
  private readonly unkept = new SharedLoads<string>();

  /** @param stores `undefined` is no cache: everything is loaded, equal loads that wait for each other as one */
  constructor(
    private readonly stores: CacheStores | undefined,
    private readonly prefix: string,
    private readonly identity: DatabaseIdentity,
  ) {
    this.epochKey = epochKeyOf(prefix);
  }

  /**
   * The value under `key`, or what `load` returns, kept for `ttlMs` milliseconds.
   *
   * @param isWorthKeeping of what `load` returned
   * @throws what `load` throws; nothing is kept then, nor a lease: whoever asks for what is not there must not fill the cache
   */
  async getOrLoad(
    key: string,
    ttlMs: number,
    load: () => Promise<string>,
    isWorthKeeping: (value: string) => boolean = () => true,
  ): Promise<string> {
    if (this.stores === undefined) return this.unkept.next(key, load);
    const { values, leases } = this.stores;
    const identity = this.identity.current;
    if (identity === undefined) return this.unkept.next(key, load);
    const [leaseKey, valueKey] = [this.leaseKey(key), this.valueKey(key)];
    const [epoch, lease, found] = await values.mget<unknown>([this.epochKey, leaseKey, valueKey]);
    const held = typeof epoch === 'string' && typeof lease === 'string' ? [epoch, lease] : undefined;
    if (held && !isMark(lease) && typeof found === 'string') {
      const grant = grantOf(identity, held);
      if (found.startsWith(grant)) return found.slice(grant.length);
      if (found.slice(identity.length).startsWith(grant.slice(identity.length))) this.warnOfStranger();
    }
    const tokens = held ?? (await this.take(leases, leaseKey, ttlMs));
    // Without a lease a load that is under way may be of before a change.
    if (!tokens || isMark(lease)) return this.unkept.next(key, load);
    const grant = grantOf(identity, tokens);
    return joined(this.loads, `${key}\n${grant}`, () => {
      const keep = async (value: string): Promise<boolean> => {
        // The connection that it came on may have been one to another database.
        if (this.identity.current !== identity || !isWorthKeeping(value)) return false;
        if (value.length > MAX_VALUE_CHARACTERS) return false;
        await values.set(valueKey, grant + value, ttlMs).catch(() => undefined);
        return true;
      };
      // Nobody waits for the end of a lease without a value; if others have kept one under it, that is a miss.
      const drop = (): void => void leases.release([leaseKey], [], '');
      return fill(load, keep, drop);
    });
  }

  /**
   * Runs a change of what stands under `keys`: every read after it sees what is committed then, in every process, and also
   * when this one dies meanwhile. Keys may be added until `announce` is called.
   *
   * @param change calls `announce` before its commit, as late as it can: a mark lasts no longer than two statements may
   * @throws what `change` throws
   */
  async changing<T>(
    keys: ReadonlySet<string> | readonly string[],
    change: (announce: () => Promise<void>) => Promise<T>,
  ): Promise<T> {
    if (this.stores === undefined) return change(() => Promise.resolve());
    const { leases } = this.stores;
    const id = randomUUID();
    const leaseKeys = (): string[] => Array.from(keys, (key) => this.leaseKey(key));
    let [isAnnounced, isInDoubt] = [false, false];
    try {
      return await change(() => {
        isAnnounced = true;
        return leases.announce(leaseKeys(), id);
      });
    } catch (error) {
      // A connection that broke at the commit leaves open whether it happened; it may even happen later.
      isInDoubt = isAnnounced && isUnavailable(error);
      throw error;
    } finally {
      if (isInDoubt) await leases.doubt(leaseKeys(), id);
      else
        await leases.release(
          leaseKeys(),
          Array.from(keys, (key) => this.valueKey(key)),
          id,
        );
    }
  }

  /**
   * Resolves when the cache can be read and written.
   *
   * @throws Error with the reason, in words for anybody
   */
  async ping(): Promise<void> {
    await this.stores?.values.set(this.valueKey('ping'), '', PING_TTL_MS);
  }

  // The tokens of the epoch and of a key that are in force. Without both nothing may be stored: a command that timed out can
  // still arrive, after a change.
  private take(leases: Leases, leaseKey: string, ttlMs: number): Promise<string[] | undefined> {
    const epoch = { key: this.epochKey, ttlMs: EPOCH_TTL_MS };
    const lease = { key: leaseKey, ttlMs: ttlMs * LEASE_TTL_FACTOR };
    return joined(this.tokens, leaseKey, () => leases.take([epoch, lease]));
  }

  private warnOfStranger(): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    this.logger.warn(
      'the cache holds what is of another database: this one was restored or replaced, or another installation uses the same keys; give each a CACHE_PREFIX of its own',
    );
  }

  private valueKey(key: string): string {
    return `${this.prefix}${key}`;
  }

  private leaseKey(key: string): string {
    return `${this.prefix}lease:${key}`;
  }
}

async function fill(
  load: () => Promise<string>,
  keep: (value: string) => Promise<boolean>,
  drop: () => void,
): Promise<string> {
  let isKept = false;
  try {
    const value = await load();
    isKept = await keep(value);
    return value;
  } finally {
    if (!isKept) drop();
  }
}
