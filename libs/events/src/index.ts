export { EventRecorder, type OwnEvent } from './event-recorder';
export { EventsModule } from './events.module';
