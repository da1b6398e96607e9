import { HttpClient } from '../lib/http-client.mjs';
import { compare, takeTurns } from '../lib/measure.mjs';
import { POST_REQUESTS } from './post.mjs';

export const get = {
  id: 'get',
  title: 'GET by id, cached, 64 connections',
  async measure(bench) {
    const app = await bench.app(await bench.eventsDatabase());
    const { paths, answer } = await storeAndRead(app.url);
    const fixed = await bench.reference('fixed', { ANSWER: answer.body, CONTENT_TYPE: answer.headers['content-type'] });
    const requests = paths.map((path) => ({ method: 'GET', path }));
    const spec = (server) => ({ url: server.url, requests, connections: 64 });
    for (const server of [app, fixed]) await bench.warmUp(spec(server));
    const values = await takeTurns(bench.options.rounds, {
      eventdeck: async () => (await bench.load(spec(app))).perSecond,
      'bare Fastify': async () => (await bench.load(spec(fixed))).perSecond,
    });
    return [
      compare({
        against: 'bare Fastify with a fixed answer',
        unit: 'requests/s',
        ours: values.eventdeck,
        reference: values['bare Fastify'],
        atLeast: 0.5,
      }),
    ];
  },
};

/** Stores events and reads each once, so that all are cached; returns their paths and the last answer. */
export async function storeAndRead(url) {
  const client = new HttpClient(url);
  const paths = [];
  for (const { method, path, body } of POST_REQUESTS) {
    paths.push((await client.expect(201, method, path, body)).headers.location);
  }
  let answer;
  for (const path of paths) answer = await client.expect(200, 'GET', path);
  client.close();
  return { paths, answer };
}
