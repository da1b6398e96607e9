import createClient from 'openapi-fetch';
import type { paths } from './generated/eventdeck';
import { dataOf, type Operations } from './operations';

export function generated(url: string): Operations {
  const eventdeck = createClient<paths>({ baseUrl: url });
  return {
    create: async (event) => {
      const { data, error, response } = await eventdeck.POST('/api/events', { body: event });
      return dataOf(response.status, data, error);
    },
    get: async (id) => {
      const { data, error, response } = await eventdeck.GET('/api/events/{id}', { params: { path: { id } } });
      return dataOf(response.status, data, error);
    },
    list: async (filter) => {
      const { data, error, response } = await eventdeck.GET('/api/events', { params: { query: filter } });
      return dataOf(response.status, data, error);
    },
    details: async (filter) => {
      const { data, error, response } = await eventdeck.GET('/api/events', { params: { query: filter } });
      return dataOf(response.status, data, error);
    },
    batch: async (events) => {
      const { data, error, response } = await eventdeck.POST('/api/events/batch', { body: events });
      return dataOf(response.status, data, error);
    },
    exportJson: async (source) => {
      const query = { source, format: 'json' as const };
      const { data, error, response } = await eventdeck.GET('/api/events/export', { params: { query } });
      // The type of the data is that of any format.
      if (typeof data === 'string') throw new Error('a text');
      return dataOf(response.status, data, error);
    },
    exportNdjson: async (source) => {
      const { data } = await eventdeck.GET('/api/events/export', { params: { query: { source } } });
      if (typeof data !== 'string') throw new Error('no text');
      return data;
    },
    importJson: async (events) => {
      const { data, error, response } = await eventdeck.POST('/api/events/import', { body: events });
      return dataOf(response.status, data, error);
    },
  };
}

export function around(url: string): Partial<Operations> {
  const eventdeck = createClient<paths>({ baseUrl: url });
  return {
    exportNdjson: async (source) => {
      const query = { source, format: 'ndjson' as const };
      const { data, error, response } = await eventdeck.GET('/api/events/export', {
        params: { query },
        parseAs: 'text',
      });
      return dataOf(response.status, data, error);
    },
  };
}
