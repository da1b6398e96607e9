import { createClient } from './generated/client';
import { createEvent, createEvents, exportEvents, getEvent, importEvents, listEvents } from './generated/sdk.gen';
import { dataOf, type Operations } from './operations';

export function generated(url: string): Operations {
  const client = createClient({ baseUrl: url });
  return {
    create: async (event) => {
      const { data, error, response } = await createEvent({ client, body: event });
      return dataOf(response?.status, data, error);
    },
    get: async (id) => {
      const { data, error, response } = await getEvent({ client, path: { id } });
      return dataOf(response?.status, data, error);
    },
    list: async (filter) => {
      const { data, error, response } = await listEvents({ client, query: filter });
      return dataOf(response?.status, data, error);
    },
    details: async (filter) => {
      const { data, error, response } = await listEvents({ client, query: filter });
      return dataOf(response?.status, data, error);
    },
    batch: async (events) => {
      const { data, error, response } = await createEvents({ client, body: events });
      return dataOf(response?.status, data, error);
    },
    exportJson: async (source) => {
      const { data, error, response } = await exportEvents({ client, query: { source, format: 'json' } });
      if (typeof data === 'string') throw new Error('a text');
      return dataOf(response?.status, data, error);
    },
    exportNdjson: async (source) => {
      const { data } = await exportEvents({ client, query: { source } });
      if (typeof data !== 'string') throw new Error(`a ${data?.constructor.name}`);
      return data;
    },
    importJson: async (events) => {
      const { data, error, response } = await importEvents({ client, body: events });
      return dataOf(response?.status, data, error);
    },
  };
}

export function around(url: string): Partial<Operations> {
  const client = createClient({ baseUrl: url });
  return {
    exportNdjson: async (source) => {
      const { data, error, response } = await exportEvents({ client, query: { source }, parseAs: 'text' });
      const text: unknown = dataOf(response?.status, data, error);
      return String(text);
    },
  };
}
