import { randomBytes } from 'node:crypto';
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { testEnvironment } from '../../../../test/support/environment';
import { freePort, until } from '../../../../test/support/services';
import { loadConfig } from '../config/config';
import { ConfigModule } from '../config/config.module';
import { DatabaseIdentity } from '../database/database-identity';
import { CacheModule } from './cache.module';
import { AppError } from '../http/app-error';
import { CacheService } from './cache.service';
import { RedisStore } from './redis-store';

const MINUTE = 60_000;

/** A loader that counts and that ends when told. */
class SlowLoader {
  calls = 0;
  finish: (value: string) => void = () => undefined;
  fail: (error: Error) => void = () => undefined;
  private readonly outcome = new Promise<string>((resolve, reject) => {
    this.finish = resolve;
    this.fail = reject;
  });

  readonly load = (): Promise<string> => {
    this.calls++;
    return this.outcome;
  };
}

const loaderOf = (value: string): jest.Mock<Promise<string>> => jest.fn(() => Promise.resolve(value));

const change = (cache: CacheService, ...keys: string[]): Promise<void> =>
  cache.changing(keys, (announce) => announce());

/** A change that has announced itself, and that ends when told. */
async function announced(cache: CacheService, key: string): Promise<{ end: () => Promise<void> }> {
  let commit: () => void = () => undefined;
  const committed = new Promise<void>((resolve) => (commit = resolve));
  let ended = Promise.resolve();
  await new Promise<void>((resolve) => {
    ended = cache.changing([key], async (announce) => {
      await announce();
      resolve();
      await committed;
    });
  });
  return {
    end: () => {
      commit();
      return ended;
    },
  };
}

describe('CacheService', () => {
  const contexts: INestApplicationContext[] = [];
  let prefix: string;

  beforeEach(() => {
    prefix = `test-${randomBytes(6).toString('hex')}:`;
  });

  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
    const redis = new Redis(testEnvironment().redisUrl);
    const keys = await redis.keys(`${prefix}*`);
    if (keys.length > 0) await redis.del(keys);
    await redis.quit();
  });

  async function cacheOf(
    mode: string,
    redisUrl = testEnvironment().redisUrl,
    current = 'a database',
  ): Promise<CacheService> {
    const config = loadConfig({ CACHE: mode, CACHE_PREFIX: prefix, REDIS_URL: redisUrl });
    const identity = { provide: DatabaseIdentity, useValue: { current } };
    const database = { module: class Database {}, global: true, providers: [identity], exports: [identity] };
    const module = { module: class Process {}, imports: [ConfigModule.forRoot(config), database, CacheModule] };
    const context = await NestFactory.createApplicationContext(module, { logger: false });
    contexts.push(context);
    return context.get(CacheService, { strict: false });
  }

  /** Whether what is loaded now is there for the next reader. */
  async function expectKept(cache: CacheService, isKept: boolean): Promise<void> {
    await cache.getOrLoad('key', MINUTE, loaderOf('first'));
    expect(await cache.getOrLoad('key', MINUTE, loaderOf('second'))).toBe(isKept ? 'first' : 'second');
  }

  describe.each(['redis', 'memory'])('in %s', (mode) => {
    it('keeps a value of a MiB, and none that is larger', async () => {
      const cache = await cacheOf(mode);
      const largest = 'x'.repeat(1024 * 1024);
      const [kept, loaded] = [loaderOf(largest), loaderOf(`${largest}x`)];
      for (let round = 1; round <= 2; round++) {
        expect(await cache.getOrLoad('kept', MINUTE, kept)).toHaveLength(largest.length);
        expect(await cache.getOrLoad('loaded', MINUTE, loaded)).toHaveLength(largest.length + 1);
        expect([kept.mock.calls.length, loaded.mock.calls.length]).toEqual([1, round]);
      }
    });

    it('loads once for any number of readers, now and later', async () => {
      const cache = await cacheOf(mode);
      const loader = new SlowLoader();
      const readers = Array.from({ length: 200 }, () => cache.getOrLoad('key', MINUTE, loader.load));
      await until(() => loader.calls > 0, 'the loading has begun');
      loader.finish('value\nwith a second line');
      expect(new Set(await Promise.all(readers))).toEqual(new Set(['value\nwith a second line']));
      const later = loaderOf('another');
      expect(await cache.getOrLoad('key', MINUTE, later)).toBe('value\nwith a second line');
      expect([loader.calls, later.mock.calls.length]).toEqual([1, 0]);
    });

    it('keeps keys apart', async () => {
      const cache = await cacheOf(mode);
      for (const key of ['a', 'b']) expect(await cache.getOrLoad(key, MINUTE, loaderOf(key))).toBe(key);
      await change(cache, 'a');
      expect(await cache.getOrLoad('a', MINUTE, loaderOf('new'))).toBe('new');
      expect(await cache.getOrLoad('b', MINUTE, loaderOf('new'))).toBe('b');
    });

    it('never shows what was loaded before a change to who reads after it', async () => {
      const cache = await cacheOf(mode);
      const slow = new SlowLoader();
      const reader = cache.getOrLoad('key', MINUTE, slow.load);
      await until(() => slow.calls > 0, 'the loading has begun');
      await change(cache, 'key');
      // Does not join the loading that began before the change either.
      expect(await cache.getOrLoad('key', MINUTE, loaderOf('new'))).toBe('new');
      slow.finish('old');
      expect(await reader).toBe('old');
      expect(await cache.getOrLoad('key', MINUTE, loaderOf('newer'))).not.toBe('old');
    });

    it('keeps no value of a loading that a change overtook', async () => {
      const cache = await cacheOf(mode);
      const slow = new SlowLoader();
      const reader = cache.getOrLoad('key', MINUTE, slow.load);
      await until(() => slow.calls > 0, 'the loading has begun');
      await change(cache, 'key');
      slow.finish('old');
      await reader;
      expect(await cache.getOrLoad('key', MINUTE, loaderOf('new'))).toBe('new');
    });

    it('hands a failure to everybody who waits, and keeps it not', async () => {
      const cache = await cacheOf(mode);
      const loader = new SlowLoader();
      const readers = [1, 2, 3].map(() => cache.getOrLoad('key', MINUTE, loader.load));
      await until(() => loader.calls > 0, 'the loading has begun');
      loader.fail(new Error('away'));
      const outcomes = await Promise.allSettled(readers);
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
      expect(await cache.getOrLoad('key', MINUTE, loaderOf('back'))).toBe('back');
    });

    it('keeps nothing while nobody knows whether a change was committed', async () => {
      const cache = await cacheOf(mode);
      await cache.getOrLoad('key', MINUTE, loaderOf('old'));
      const away = new AppError('unavailable', 'away');
      const isRefused = cache.changing(['key'], () => Promise.reject(away));
      await expect(isRefused).rejects.toBe(away);
      await expectKept(cache, true);
      const isInDoubt = cache.changing(['key'], async (announce) => {
        await announce();
        throw away;
      });
      await expect(isInDoubt).rejects.toBe(away);
      await expectKept(cache, false);
      await change(cache, 'key');
      await expectKept(cache, false);
    });

    it('forgets a value after its time', async () => {
      const cache = await cacheOf(mode);
      await cache.getOrLoad('key', 100, loaderOf('old'));
      await until(async () => (await cache.getOrLoad('key', 100, loaderOf('new'))) === 'new', 'the value has expired');
    });
  });

  it('never shows one process what another has changed meanwhile', async () => {
    const [one, other] = [await cacheOf('redis'), await cacheOf('redis')];
    const slow = new SlowLoader();
    const reader = one.getOrLoad('key', MINUTE, slow.load);
    await until(() => slow.calls > 0, 'the loading has begun');
    await change(other, 'key');
    slow.finish('old');
    await reader;
    expect(await other.getOrLoad('key', MINUTE, loaderOf('new'))).toBe('new');
    const unused = loaderOf('not asked');
    expect(await one.getOrLoad('key', MINUTE, unused)).toBe('new');
    expect(unused).not.toHaveBeenCalled();
  });

  it('shows nothing old, and keeps nothing, when a process dies between its commit and what follows', async () => {
    const [dying, other] = [await cacheOf('redis'), await cacheOf('redis')];
    await expectKept(other, true);
    await announced(dying, 'key');
    expect(await other.getOrLoad('key', MINUTE, loaderOf('committed'))).toBe('committed');
    await expectKept(other, false);
    const redis = new Redis(testEnvironment().redisUrl);
    const lease = `${prefix}lease:key`;
    const left = await redis.pttl(lease);
    // Twice the limit of a statement, and five seconds.
    expect([left > 0, left <= 15_000]).toEqual([true, true]);
    await redis.pexpire(lease, 1);
    await until(async () => (await redis.exists(lease)) === 0, 'the mark has ended');
    await redis.quit();
    await expectKept(other, true);
  });

  it.each([
    ['in their order', [0, 1]],
    ['the last one first', [1, 0]],
  ])('keeps nothing until all changes of several processes have ended, %s', async (_name, order) => {
    const [one, other] = [await cacheOf('redis'), await cacheOf('redis')];
    await expectKept(other, true);
    const changes = [await announced(one, 'key'), await announced(other, 'key')];
    for (const index of order) {
      for (const cache of [one, other]) await expectKept(cache, false);
      await changes[index]?.end();
    }
    await expectKept(other, true);
  });

  it('does not wait for a change that died when others go on', async () => {
    const [dying, other] = [await cacheOf('redis'), await cacheOf('redis')];
    const redis = new Redis(testEnvironment().redisUrl);
    await announced(dying, 'key');
    // As if the mark had been made long ago.
    const lease = `${prefix}lease:key`;
    const mark = (await redis.get(lease)) ?? '';
    expect(mark).toMatch(/@\d{13}/);
    await redis.set(lease, mark.replace(/@\d{13}/, '@1600000000000'));
    await redis.quit();
    await change(other, 'key');
    await expectKept(other, true);
  });

  it('marks and releases many keys without holding Redis up for long', async () => {
    const cache = await cacheOf('redis');
    const redis = new Redis(testEnvironment().redisUrl);
    const monitor = await redis.monitor();
    const counts: number[] = [];
    monitor.on('monitor', (_time: string, [name, , count, key]: string[]) => {
      if (name?.startsWith('eval') && key?.startsWith(prefix)) counts.push(Number(count));
    });
    const keys = Array.from({ length: 2000 }, (_, index) => `key ${index}`);
    await cache.changing(keys, async (announce) => {
      await announce();
      expect(await redis.keys(`${prefix}lease:*`)).toHaveLength(keys.length);
    });
    expect(await redis.keys(`${prefix}*`)).toEqual([]);
    const count = (): number => counts.reduce((sum, each) => sum + each, 0);
    await until(() => count() === 3 * keys.length, 'all leases were marked, and released with their values');
    expect(Math.max(...counts)).toBeLessThanOrEqual(1000);
    monitor.disconnect();
    await redis.quit();
  });

  it('takes no lease in the place of a mark that it has not seen', async () => {
    const redis = new Redis(testEnvironment().redisUrl);
    const store = new RedisStore(redis, `${prefix}lease:`, 15_000, { changed: jest.fn(), foreign: jest.fn() });
    const lease = { key: `${prefix}lease:key`, ttlMs: MINUTE };
    const [token] = (await store.take([lease])) ?? [];
    expect(token).toMatch(/^[\da-f-]{36}$/);
    expect(await store.take([lease])).toEqual([token]);
    await store.announce([lease.key], 'a-change');
    expect(await store.take([lease])).toBeUndefined();
    await store.release([lease.key], [], 'another');
    expect(await store.take([lease])).toBeUndefined();
    await store.release([lease.key], [], 'a-change');
    expect(await store.take([lease])).toEqual([expect.not.stringMatching(token ?? '')]);
    await store.close();
  });

  it('loads for one reader, then for all who came meanwhile, while Redis is away', async () => {
    const cache = await cacheOf('redis', `redis://127.0.0.1:${await freePort()}`);
    const first = new SlowLoader();
    const reader = cache.getOrLoad('key', MINUTE, first.load);
    await until(() => first.calls > 0, 'the loading has begun');
    const next = loaderOf('new');
    const others = Array.from({ length: 200 }, () => cache.getOrLoad('key', MINUTE, next));
    await until(async () => (await cache.getOrLoad('other key', MINUTE, loaderOf('other'))) === 'other', 'all wait');
    expect(next).not.toHaveBeenCalled();
    first.finish('old');
    expect(await reader).toBe('old');
    expect(new Set(await Promise.all(others))).toEqual(new Set(['new']));
    expect(next).toHaveBeenCalledTimes(1);
    expect(await cache.getOrLoad('key', MINUTE, loaderOf('newer'))).toBe('newer');
  });

  it('keeps nothing when it is off', async () => {
    const cache = await cacheOf('off');
    for (const value of ['first', 'second']) {
      expect(await cache.getOrLoad('key', MINUTE, loaderOf(value))).toBe(value);
    }
    await change(cache, 'key');
    await cache.ping();
  });
});
