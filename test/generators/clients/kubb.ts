import { createEvent, createEvents, exportEvents, getEvent, importEvents, listEvents } from './generated/index.ts';
import { kubbClient } from './kubb-client';
import { asTexts, type Operations } from './operations';

// Its own client returns an error as if it were the data.
function checked<Data extends object>(data: Data): Data {
  if ('status' in data && 'title' in data) throw new Error(JSON.stringify(data));
  return data;
}

export function generated(url: string): Operations {
  const config = { baseURL: url };
  return {
    create: async (event) => checked(await createEvent(event, undefined, config)),
    get: async (id) => checked(await getEvent(id, undefined, config)),
    list: async (filter) => checked(await listEvents(filter, config)),
    details: async (filter) => checked(await listEvents(filter, config)),
    batch: async (events) => checked(await createEvents(events, undefined, undefined, config)),
    exportJson: async (source) => {
      const events = await exportEvents({ source, format: 'json' }, config);
      if (typeof events === 'string') throw new Error('a text');
      return events;
    },
    exportNdjson: async (source) => {
      const text = await exportEvents({ source }, config);
      if (typeof text !== 'string') throw new Error('no text');
      return text;
    },
    importJson: async (events) => checked(await importEvents(events, config)),
  };
}

export function around(url: string): Partial<Operations> {
  const config = { client: kubbClient(url) };
  return {
    create: (event) => createEvent(event, undefined, config),
    get: (id) => getEvent(id, undefined, config),
    list: (filter) => listEvents(filter, config),
    details: ({ details, source }) => listEvents({ detail: asTexts(details), source }, config),
    batch: (events) => createEvents(events, undefined, undefined, config),
    exportJson: async (source) => {
      const events = await exportEvents({ source, format: 'json' }, config);
      if (typeof events === 'string') throw new Error('a text');
      return events;
    },
    exportNdjson: async (source) => {
      const text = await exportEvents({ source }, config);
      if (typeof text !== 'string') throw new Error('no text');
      return text;
    },
    importJson: (events) => importEvents(events, config),
  };
}
