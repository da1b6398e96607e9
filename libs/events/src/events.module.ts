import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { CacheModule } from '@app/platform';
import { EventListService } from './event-list.service';
import { EventRecorder } from './event-recorder';
import { SystemEvent } from './event.entity';
import { EventsController } from './events.controller';
import { EventsService } from './events.service';

/** The events API and the recorder through which other features record events of their own. */
@Module({
  imports: [TypeOrmModule.forFeature([SystemEvent]), CacheModule],
  controllers: [EventsController],
  providers: [EventsService, EventListService, EventRecorder],
  exports: [EventRecorder],
})
export class EventsModule {}
