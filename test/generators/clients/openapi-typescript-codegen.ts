import { EventsService, OpenAPI } from './generated';
import type { Operations } from './operations';

export function generated(url: string): Operations {
  OpenAPI.BASE = url;
  return {
    create: (event) => EventsService.createEvent(event),
    get: (id) => EventsService.getEvent(id),
    list: ({ event_type, severity, source }) =>
      EventsService.listEvents(undefined, undefined, event_type, severity, undefined, source),
    details: ({ details, source }) =>
      EventsService.listEvents(undefined, undefined, undefined, undefined, undefined, source, undefined, details),
    batch: (events) => EventsService.createEvents(events),
    exportJson: (source) =>
      EventsService.exportEvents(
        ...([undefined, undefined, undefined, undefined, undefined, source, undefined, {}, undefined] as const),
        'json',
      ),
    exportNdjson: async (source) => {
      const args = [undefined, undefined, undefined, undefined, undefined, source] as const;
      const text: unknown = await EventsService.exportEvents(...args);
      if (typeof text !== 'string') throw new Error('no text');
      return text;
    },
    importJson: (events) => EventsService.importEvents(events),
  };
}

export function around(): Partial<Operations> {
  return {};
}
