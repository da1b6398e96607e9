import { HttpException, Inject, Injectable } from '@nestjs/common';
import { HealthCheckService, type HealthCheckResult } from '@nestjs/terminus';
import { CONFIG, DatabaseServer, DatabaseService, type Config } from '@app/platform';
import type { DatabaseHealthDto, ServiceHealthDto } from './health.dto';
import { HealthEvents, type Health } from './health-events';
import { HealthIndicators } from './health-indicators';

const HEALTH: Partial<Record<HealthCheckResult['status'], Health>> = { ok: 'healthy', degraded: 'degraded' };

/** The health reports, old and new; those that ask dependencies leave events of what they saw. */
@Injectable()
export class HealthService {
  constructor(
    private readonly checks: HealthCheckService,
    private readonly indicators: HealthIndicators,
    private readonly events: HealthEvents,
    private readonly database: DatabaseService,
    private readonly server: DatabaseServer,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Every check. @throws ServiceUnavailableException with the report when one is down */
  async report(): Promise<HealthCheckResult> {
    const { indicators } = this;
    try {
      const report = await this.checks.check([
        () => indicators.postgres(),
        () => indicators.migrations(),
        () => indicators.redisCache(),
      ]);
      this.observe(report);
      return report;
    } catch (error) {
      if (error instanceof HttpException) this.observe(error.getResponse() as HealthCheckResult);
      throw error;
    }
  }

  /** What a request needs. @throws ServiceUnavailableException with the report when one is down, or during a shutdown */
  readiness(): Promise<HealthCheckResult> {
    return this.checks.check([() => this.indicators.postgres(), () => this.indicators.migrations()]);
  }

  /** That the process answers. */
  summary(): ServiceHealthDto {
    this.events.observeAnswer('health_check', { check: 'summary' });
    return {
      status: 'healthy',
      mode: this.server.isEmbedded ? 'embedded' : 'external',
      timestamp: Date.now() / 1000,
      version: this.config.version,
    };
  }

  /** How the databases are; never fails. */
  async databases(): Promise<DatabaseHealthDto> {
    const [{ postgres }, { redis }] = await Promise.all([this.indicators.postgres(), this.indicators.redisCache()]);
    const configured = this.config.cache.mode === 'redis';
    const healthy = postgres.status === 'up' && redis.status === 'up';
    const { size, free } = this.database.poolStatus();
    this.events.observe('db_health_check', healthy ? 'healthy' : 'degraded', {
      postgres: postgres.status,
      redis: configured ? redis.status : 'not configured',
    });
    return {
      status: healthy ? 'healthy' : 'degraded',
      postgres: { connected: postgres.status === 'up', pool_size: size, pool_free: free },
      redis: configured ? { connected: redis.status === 'up' } : { connected: false, configured: false },
      timestamp: Date.now() / 1000,
    };
  }

  private observe({ status, details }: HealthCheckResult): void {
    // A shutdown says nothing of how the dependencies are, and leaves an event of its own.
    if (status === 'shutting_down') return;
    const statuses = Object.entries(details).map(([name, check]) => [name, check.status]);
    this.events.observe(
      'health_check',
      HEALTH[status] ?? 'unhealthy',
      Object.fromEntries(statuses) as Record<string, unknown>,
    );
  }
}
