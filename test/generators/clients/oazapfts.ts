import {
  createEvent,
  createEvents,
  defaults,
  exportEvents,
  getEvent,
  importEvents,
  listEvents,
  type ImportEvent,
} from './generated/eventdeck';
import type { Operations } from './operations';

export function generated(url: string): Operations {
  defaults.baseUrl = url;
  return {
    create: async (event) => {
      const response = await createEvent(event);
      if (response.status !== 201) throw new Error(`${response.status}`);
      return response.data;
    },
    get: async (id) => {
      const response = await getEvent(id);
      if (response.status !== 200) throw new Error(`${response.status}`);
      return response.data;
    },
    list: async ({ event_type, severity, source }) => {
      const response = await listEvents({ eventType: event_type, severity, source });
      if (response.status !== 200) throw new Error(`${response.status}`);
      return response.data;
    },
    details: async (filter) => {
      const response = await listEvents(filter);
      if (response.status !== 200) throw new Error(`${response.status}`);
      return response.data;
    },
    batch: async (events) => {
      const response = await createEvents(events);
      if (response.status !== 200) throw new Error(`${response.status}`);
      return response.data;
    },
    exportJson: async (source) => {
      const response = await exportEvents({ source, format: 'json' });
      if (response.status !== 200) throw new Error(`${response.status}`);
      return response.data;
    },
    exportNdjson: async (source) => {
      const { data } = await exportEvents({ source });
      if (typeof data !== 'string') throw new Error('no text');
      return data;
    },
    importJson: async (events) => {
      // It forgets that `details` may be null.
      const response = await importEvents(events as ImportEvent[]);
      if (response.status !== 200) throw new Error(`${response.status}`);
      return response.data;
    },
  };
}

export function around(): Partial<Operations> {
  return {
    exportNdjson: async (source) => {
      // The function reads a body as JSON, but hands the request to a `fetch` of one's own.
      let text = '';
      await exportEvents(
        { source },
        {
          fetch: async (...request) => {
            const response = await fetch(...request);
            text = await response.text();
            return new Response(null, response);
          },
        },
      );
      return text;
    },
  };
}
