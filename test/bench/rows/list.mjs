import { HttpClient } from '../lib/http-client.mjs';
import { compare, takeTurns } from '../lib/measure.mjs';

export const LIST = { method: 'GET', path: '/api/events?limit=100' };

export const list = {
  id: 'list',
  title: 'list of 100, 32 connections',
  async measure(bench) {
    const { url } = await bench.largeTable();
    const app = await bench.app(url);
    const find = await bench.reference('find', { DATABASE_URL: url });
    await requireSameEvents(app.url, find.url);
    const spec = (server) => ({ url: server.url, requests: [LIST], connections: 32 });
    for (const server of [app, find]) await bench.warmUp(spec(server));
    const values = await takeTurns(bench.options.rounds, {
      eventdeck: async () => (await bench.load(spec(app))).perSecond,
      'repository.find': async () => (await bench.load(spec(find))).perSecond,
    });
    return [
      compare({
        against: 'repository.find through a Nest controller',
        unit: 'requests/s',
        ours: values.eventdeck,
        reference: values['repository.find'],
        atLeast: 3,
      }),
    ];
  },
};

// The service may have stored one of its own events in between; two tries will do.
async function requireSameEvents(...urls) {
  for (let tries = 2; ; tries -= 1) {
    const [ours, theirs] = await Promise.all(urls.map(read));
    if (ours === theirs) return;
    if (tries === 1) throw new Error('eventdeck and repository.find list different events');
  }
}

async function read(url) {
  const client = new HttpClient(url);
  const { body } = await client.expect(200, LIST.method, LIST.path);
  client.close();
  return JSON.stringify(JSON.parse(body).map((event) => Object.entries(event).sort()));
}
