import { Inject, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { createCache } from 'cache-manager';
import { Redis } from 'ioredis';
import { Keyv } from 'keyv';
import { LRUCache } from 'lru-cache';
import type { CacheConfig, Config } from '../config/config';
import { CONFIG } from '../config/config.module';
import { CacheService, epochKeyOf } from './cache.service';
import { RedisStore } from './redis-store';

/** Injection token of the store in Redis, `undefined` when the cache is elsewhere or off. */
const REDIS_STORE = Symbol('REDIS_STORE');

/** Characters of keys and values that the in-process cache may hold: about 64 MiB. */
const MAX_MEMORY_CHARACTERS = 32 * 1024 * 1024;

/** What Keyv hands to a store: the value, and when it ends. */
interface KeptValue {
  value: string;
}

/** The cache that the configuration asks for: Redis, in-process, or none. */
@Module({
  providers: [
    { provide: REDIS_STORE, inject: [CONFIG], useFactory: (config: Config) => createRedisStore(config.cache) },
    {
      provide: CacheService,
      inject: [CONFIG, REDIS_STORE],
      useFactory: ({ cache: { mode, prefix } }: Config, redisStore: RedisStore | undefined) => {
        if (mode === 'off') return new CacheService(undefined, prefix);
        return new CacheService(createCache({ stores: [redisStore ? keyv(redisStore) : memoryStore()] }), prefix);
      },
    },
  ],
  exports: [CacheService],
})
export class CacheModule implements OnApplicationShutdown {
  constructor(@Inject(REDIS_STORE) private readonly redisStore: RedisStore | undefined) {}

  async onApplicationShutdown(): Promise<void> {
    await this.redisStore?.close();
  }
}

async function createRedisStore({ mode, redisUrl, prefix }: CacheConfig): Promise<RedisStore | undefined> {
  if (mode !== 'redis' || redisUrl === undefined) return undefined;
  const redis = new Redis(redisUrl, {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 1,
    connectTimeout: 500,
    // For the first words on a connection; the store has a limit of its own for the others.
    commandTimeout: 1000,
    // Disconnecting is what is left when `quit` has failed: there is nobody to wait for.
    disconnectTimeout: 0,
    retryStrategy: (attempt) => Math.min(attempt * 100, 2000),
  });
  // Told once by the store; without a listener ioredis would print every failed attempt.
  redis.on('error', () => undefined);
  await redis.connect().catch(() => undefined);
  const logger = new Logger(RedisStore.name);
  return new RedisStore(redis, epochKeyOf(prefix), {
    changed: (available, reason) => {
      if (available) logger.log(`Redis is used again: ${reason}`);
      else logger.warn(`Redis is not available, reading from the database: ${reason}`);
    },
    foreign: (key) => logger.warn(`a value that is not ours was read past in Redis, under ${key}`),
  });
}

function memoryStore(): Keyv {
  const entries = new LRUCache<string, KeptValue>({
    maxSize: MAX_MEMORY_CHARACTERS,
    sizeCalculation: ({ value }, key) => value.length + key.length,
  });
  const created = keyv({
    get: (key: string) => entries.get(key),
    getMany: (keys: string[]) => keys.map((key) => entries.get(key)),
    set: (key: string, value: KeptValue, ttl?: number) => entries.set(key, value, ttl === undefined ? {} : { ttl }),
    delete: (key: string) => entries.delete(key),
    clear: () => entries.clear(),
  });
  // What stays in the process need not be written and read as text.
  created.serialize = undefined;
  created.deserialize = undefined;
  return created;
}

// Without Keyv's own prefix, so that our keys stand in Redis as documented.
function keyv(store: RedisStore | Record<'get' | 'getMany' | 'set' | 'delete' | 'clear', unknown>): Keyv {
  const created = new Keyv({ store, useKeyPrefix: false, throwOnErrors: true });
  created.on('error', () => undefined);
  return created;
}
