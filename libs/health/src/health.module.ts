import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { EventsModule } from '@app/events';
import { CacheModule, CONFIG, type Config } from '@app/platform';
import { HealthController } from './health.controller';
import { HealthEvents } from './health-events';
import { HealthIndicators } from './health-indicators';
import { HealthService } from './health.service';

/** Probes for machines and reports for people. */
@Module({
  imports: [
    TerminusModule.forRootAsync({
      inject: [CONFIG],
      // Terminus answers 503 on the readiness probe from the signal on, and waits as long as others need to see it.
      useFactory: (config: Config) => ({ logger: false, gracefulShutdownTimeoutMs: config.http.shutdownDelayMs }),
    }),
    EventsModule,
    CacheModule,
  ],
  controllers: [HealthController],
  providers: [HealthService, HealthIndicators, HealthEvents],
})
export class HealthModule {}
