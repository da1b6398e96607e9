import { Module } from '@nestjs/common';
import { EventsModule } from '@app/events';
import { LifecycleService } from './lifecycle.service';
import { ServiceRunsService } from './service-runs.service';

/** Starts, stops and crashes of the service, recorded as events. */
@Module({
  imports: [EventsModule],
  providers: [LifecycleService, ServiceRunsService],
})
export class LifecycleModule {}
