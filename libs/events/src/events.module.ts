import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CacheModule } from '@app/platform';
import { EventBatchService } from './event-batch.service';
import { EventListService } from './event-list.service';
import { EventStore } from './event-store';
import { EventWriter } from './event-writer';
import { EventRecorder } from './event-recorder';
import { SystemEvent } from './event.entity';
import { EventsController } from './events.controller';
import { EventsService } from './events.service';
import { IdempotencyCleanup } from './idempotency-cleanup';
import { IdempotencyKeyRow } from './idempotency-key.entity';
import { IdempotencyService } from './idempotency.service';
import { KeyedEventWriter } from './keyed-event-writer';

/** The events API and the recorder through which other features record events of their own. */
@Module({
  imports: [TypeOrmModule.forFeature([SystemEvent, IdempotencyKeyRow]), CacheModule],
  controllers: [EventsController],
  providers: [
    EventsService,
    EventStore,
    EventWriter,
    KeyedEventWriter,
    IdempotencyService,
    IdempotencyCleanup,
    EventBatchService,
    EventListService,
    EventRecorder,
  ],
  exports: [EventRecorder],
})
export class EventsModule {}
