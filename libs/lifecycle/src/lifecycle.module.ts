import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { EventsModule } from '@app/events';
import { LifecycleService } from './lifecycle.service';
import { ServiceRun } from './service-run.entity';
import { ServiceRunsService } from './service-runs.service';

/** Starts, stops and crashes of the service, recorded as events. */
@Module({
  imports: [TypeOrmModule.forFeature([ServiceRun]), EventsModule],
  providers: [LifecycleService, ServiceRunsService],
})
export class LifecycleModule {}
