import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { CacheService, CONFIG, DatabaseService, SharedLoads, type Config } from '@app/platform';

/** Milliseconds each check may take. */
const TIME_LIMIT = { postgres: 2000, migrations: 2000, redis: 500 };

/** What each dependency is like. The messages are for anybody: nothing of what a driver says is repeated. */
@Injectable()
export class HealthIndicators {
  // Of many probes at once, those that wait are answered from one check.
  private readonly pings = new SharedLoads<void>();
  private readonly pendingMigrations = new SharedLoads<string[]>();

  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly database: DatabaseService,
    private readonly cache: CacheService,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Down when PostgreSQL does not answer. */
  async postgres(): Promise<HealthIndicatorResult<'postgres'>> {
    return this.indicators
      .check('postgres')
      .attempt(() => this.pings.next('', () => this.database.ping()).catch(() => fail('PostgreSQL does not answer')))
      .withTimeout(TIME_LIMIT.postgres);
  }

  /** Down when a migration is still to run. */
  async migrations(): Promise<HealthIndicatorResult<'migrations'>> {
    return this.indicators
      .check('migrations')
      .attempt(async () => {
        const pending = await this.pendingMigrations
          .next('', () => this.database.pendingMigrations())
          .catch(() => fail('PostgreSQL does not answer'));
        if (pending.length > 0) fail(`${pending.length} migrations are still to run: npm run migration:run`);
      })
      .withTimeout(TIME_LIMIT.migrations);
  }

  /** Degraded, never down, when Redis is not used or refuses to store: the database then serves every read. */
  async redisCache(): Promise<HealthIndicatorResult<'redis'>> {
    const check = this.indicators.check('redis');
    if (this.config.cache.mode !== 'redis') return check.up({ configured: false });
    const { redis } = await check.attempt(() => this.cache.ping()).withTimeout(TIME_LIMIT.redis);
    return redis.status === 'up'
      ? { redis }
      : check.degraded({ message: `${redis.message}; reads go to the database` });
  }
}

function fail(message: string): never {
  throw new Error(message);
}
