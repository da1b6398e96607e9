import { Inject, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { createCache } from 'cache-manager';
import { Redis } from 'ioredis';
import { Keyv } from 'keyv';
import type { Config } from '../config/config';
import { DatabaseIdentity } from '../database/database-identity';
import { CONFIG } from '../config/config.module';
import { CacheService, epochKeyOf } from './cache.service';
import { MemoryStore } from './memory-store';
import { RedisStore } from './redis-store';

/** Injection token of the store in Redis, `undefined` when the cache is elsewhere or off. */
const REDIS_STORE = Symbol('REDIS_STORE');

/**
 * Milliseconds that the mark of a change lasts: longer than the statement that commits may take, twice over, and the client
 * after it.
 */
const markMsOf = ({ database }: Config): number => 2 * database.statementTimeoutMs + 5000;

/** The cache that the configuration asks for: Redis, in-process, or none. */
@Module({
  providers: [
    { provide: REDIS_STORE, inject: [CONFIG], useFactory: createRedisStore },
    {
      provide: CacheService,
      inject: [CONFIG, REDIS_STORE, DatabaseIdentity],
      useFactory: (config: Config, redisStore: RedisStore | undefined, identity: DatabaseIdentity) => {
        const { mode, prefix } = config.cache;
        if (mode === 'off') return new CacheService(undefined, prefix, identity);
        const store = redisStore ?? new MemoryStore(markMsOf(config));
        return new CacheService({ values: createCache({ stores: [keyv(store)] }), leases: store }, prefix, identity);
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

async function createRedisStore(config: Config): Promise<RedisStore | undefined> {
  const { mode, redisUrl, prefix } = config.cache;
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
  return new RedisStore(redis, epochKeyOf(prefix), markMsOf(config), {
    changed: (available, reason) => {
      if (available) logger.log(`Redis is used again: ${reason}`);
      else logger.warn(`Redis is not available, reading from the database: ${reason}`);
    },
    foreign: (key) => logger.warn(`a value that is not ours was read past in Redis, under ${key}`),
  });
}

// Without Keyv's own prefix, so that our keys stand in Redis as documented.
function keyv(store: RedisStore | MemoryStore): Keyv {
  const created = new Keyv({ store, useKeyPrefix: false, throwOnErrors: true });
  created.on('error', () => undefined);
  if (store instanceof MemoryStore) {
    // What stays in the process need not be written and read as text.
    created.serialize = undefined;
    created.deserialize = undefined;
  }
  return created;
}
