import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import type { Redis } from 'ioredis';
import { CacheService, DatabaseService, REDIS } from '@app/platform';

/** Milliseconds each check may take. */
const TIME_LIMIT = { postgres: 2000, migrations: 2000, redis: 500 };

/** What each dependency is like. The messages are for anybody: nothing of what a driver says is repeated. */
@Injectable()
export class HealthIndicators {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly database: DatabaseService,
    private readonly cache: CacheService,
    @Inject(REDIS) private readonly redis: Redis | undefined,
  ) {}

  /** Down when PostgreSQL does not answer. */
  async postgres(): Promise<HealthIndicatorResult<'postgres'>> {
    return this.indicators
      .check('postgres')
      .attempt(() => this.database.ping().catch(() => fail('PostgreSQL does not answer')))
      .withTimeout(TIME_LIMIT.postgres);
  }

  /** Down when a migration is still to run. */
  async migrations(): Promise<HealthIndicatorResult<'migrations'>> {
    return this.indicators
      .check('migrations')
      .attempt(async () => {
        const pending = await this.database.pendingMigrations().catch(() => fail('PostgreSQL does not answer'));
        if (pending.length > 0) fail(`${pending.length} migrations are still to run: npm run migration:run`);
      })
      .withTimeout(TIME_LIMIT.migrations);
  }

  /** Degraded, never down, when Redis does not answer: the database then serves every read. */
  async redisCache(): Promise<HealthIndicatorResult<'redis'>> {
    const check = this.indicators.check('redis');
    const { redis } = this;
    if (!redis) return check.up({ configured: false });
    const { redis: result } = await check
      .attempt(async () => {
        await redis.ping();
      })
      .withTimeout(TIME_LIMIT.redis);
    if (result.status === 'down') return check.degraded({ message: 'Redis does not answer; reads go to the database' });
    const { status, ...details } = result;
    const cache = this.cache.status();
    return status === 'up' && cache === 'connected' ? check.up(details) : check.degraded({ ...details, cache });
  }
}

function fail(message: string): never {
  throw new Error(message);
}
