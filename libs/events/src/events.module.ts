import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CacheModule } from '@app/platform';
import { EventAnalyticsController } from './event-analytics.controller';
import { EventBatchController } from './event-batch.controller';
import { EventBatchService } from './event-batch.service';
import { EventCountsCompactor } from './event-counts-compactor';
import { EventDeletionController } from './event-deletion.controller';
import { EventDeletionService } from './event-deletion.service';
import { EventExportService } from './event-export.service';
import { EventImportService } from './event-import.service';
import { EventListService } from './event-list.service';
import { EventQuotas } from './event-quotas';
import { EventScans } from './event-scans';
import { EventStore } from './event-store';
import { EventTransferController } from './event-transfer.controller';
import { EventWriter } from './event-writer';
import { EventRecorder } from './event-recorder';
import { ClockService } from './clock.service';
import { DatabaseClock } from './database-clock.entity';
import { SystemEvent } from './event.entity';
import { EventsController } from './events.controller';
import { EventsService } from './events.service';
import { FacetsService } from './facets.service';
import { IdempotencyCleanup } from './idempotency-cleanup';
import { IdempotencyKeyRow } from './idempotency-key.entity';
import { IdempotencyService } from './idempotency.service';
import { KeyedEventWriter } from './keyed-event-writer';
import { RetentionController } from './retention.controller';
import { RetentionRun } from './retention-run.entity';
import { RetentionRunsService } from './retention-runs.service';
import { RetentionService } from './retention.service';
import { TimeseriesService } from './timeseries.service';

/** The events API and the recorder through which other features record events of their own. */
@Module({
  imports: [TypeOrmModule.forFeature([SystemEvent, IdempotencyKeyRow, RetentionRun, DatabaseClock]), CacheModule],
  controllers: [
    EventsController,
    EventBatchController,
    EventDeletionController,
    EventAnalyticsController,
    EventTransferController,
    RetentionController,
  ],
  providers: [
    EventQuotas,
    EventScans,
    EventsService,
    EventStore,
    EventWriter,
    KeyedEventWriter,
    IdempotencyService,
    IdempotencyCleanup,
    EventBatchService,
    EventListService,
    EventCountsCompactor,
    FacetsService,
    TimeseriesService,
    EventDeletionService,
    EventExportService,
    EventImportService,
    ClockService,
    RetentionRunsService,
    RetentionService,
    EventRecorder,
  ],
  exports: [EventRecorder],
})
export class EventsModule {}
