import { Api } from './generated/eventdeck';
import { asTexts, type Operations } from './operations';

export function generated(url: string): Operations {
  const { api: eventdeck } = new Api({ baseUrl: url });
  return {
    create: async (event) => (await eventdeck.createEvent(event)).data,
    get: async (id) => (await eventdeck.getEvent(id)).data,
    list: async (filter) => (await eventdeck.listEvents(filter)).data,
    details: async (filter) => (await eventdeck.listEvents(filter)).data,
    batch: async (events) => (await eventdeck.createEvents(events)).data,
    exportJson: async (source) => (await eventdeck.exportEvents({ source, format: 'json' })).data,
    exportNdjson: async (source) => {
      const { data } = await eventdeck.exportEvents({ source });
      if (typeof data !== 'string') throw new Error(`${data} as data`);
      return data;
    },
    importJson: async (events) => (await eventdeck.importEvents(events)).data,
  };
}

export function around(url: string): Partial<Operations> {
  const { api: eventdeck } = new Api({ baseUrl: url });
  return {
    details: async ({ details, source }) => (await eventdeck.listEvents({ detail: asTexts(details), source })).data,
    exportNdjson: async (source) => {
      const response = await eventdeck.exportEvents({ source }, { format: 'text' });
      return String(response.data);
    },
  };
}
