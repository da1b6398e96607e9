import {
  createEvent,
  createEvents,
  exportEvents,
  getEvent,
  getExportEventsUrl,
  importEvents,
  listEvents,
} from './generated/eventdeck';
import { asTexts, dataOf, type Operations } from './operations';

/** Where the service is stands in `orval.config.mjs`. */
export function generated(): Operations {
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
    list: async (filter) => {
      const response = await listEvents(filter);
      if (response.status !== 200) throw new Error(`${response.status}`);
      return response.data;
    },
    details: async (filter) => {
      const response = await listEvents(filter);
      if (response.status !== 200) throw new Error(`${response.status}: ${response.data.detail}`);
      return response.data;
    },
    batch: async (events) => {
      const response = await createEvents(events);
      if (response.status !== 200) throw new Error(`${response.status}: ${response.data.detail}`);
      return response.data;
    },
    exportJson: async (source) => {
      const response = await exportEvents({ source, format: 'json' });
      if (response.status !== 200 || !('data' in response)) throw new Error(`${response.status} without data`);
      return response.data;
    },
    exportNdjson: async (source) => {
      const response = await exportEvents({ source });
      if (response.status !== 200 || !('stream' in response)) throw new Error(`${response.status} without a stream`);
      return response.stream.text();
    },
    importJson: async (events) => {
      const response = await importEvents(events);
      if (response.status !== 200) throw new Error(`${response.status}: ${response.data.detail}`);
      return response.data;
    },
  };
}

const JSON_BODY = { headers: { 'Content-Type': 'application/json' } };

export function around(): Partial<Operations> {
  return {
    details: async ({ details, source }) => {
      const { status, data } = await listEvents({ detail: asTexts(details), source });
      if (status !== 200) throw new Error(`${status}`);
      return data;
    },
    batch: async (events) => {
      const { status, data } = await createEvents(events, undefined, JSON_BODY);
      if (status !== 200) throw new Error(`${status}`);
      return data;
    },
    exportJson: async (source) => {
      const response = await exportEvents({ source, format: 'json' });
      if (response.status !== 200 || !('stream' in response)) throw new Error(`${response.status} without a stream`);
      return JSON.parse(await response.stream.text());
    },
    importJson: async (events) => {
      const { status, data } = await importEvents(events, JSON_BODY);
      if (status !== 200) throw new Error(`${status}`);
      return data;
    },
  };
}
