import { checkpoint, countEvents } from '../lib/databases.mjs';
import { sampleEvents } from '../lib/events.mjs';
import { compare, takeTurns } from '../lib/measure.mjs';
import { oneRowScript, pgbench } from '../lib/pgbench.mjs';

const CLIENTS = 64;

/** Events that all writers take in turn or at random; as many as make no two requests in a row alike. */
const EVENTS = sampleEvents(100);

/** The requests that store `EVENTS`, one each. */
export const POST_REQUESTS = EVENTS.map((event) => ({
  method: 'POST',
  path: '/api/events',
  body: JSON.stringify(event),
}));

export const post = {
  id: 'post',
  title: 'POST one event, 64 connections',
  async measure(bench) {
    const same = await bench.eventsDatabase();
    const plain = await bench.plainDatabase();
    const insert = (url, table) => {
      const script = oneRowScript(bench.folder, table, EVENTS);
      return afterCheckpoint(url, () => pgbench({ url, script, clients: CLIENTS, seconds: bench.options.seconds }));
    };
    const writers = await httpWriters(bench, plain, CLIENTS);
    const values = await takeTurns(bench.options.rounds, {
      eventdeck: writers.ours,
      'pgbench, same table': insert(same, 'system_events'),
      'pgbench, plain table': insert(plain, 'plain_events'),
      'bare Fastify': writers.bareFastify,
    });
    await writers.check();
    const line = (against, reference, atLeast) =>
      compare({ against, unit: 'events/s', ours: values.eventdeck, reference: values[reference], atLeast });
    return [
      line('pgbench, one-row INSERT, 64 clients, same table', 'pgbench, same table', 1.3),
      line('pgbench, one-row INSERT, 64 clients, plain table', 'pgbench, plain table', 0.9),
      line('bare Fastify, one prepared INSERT, plain table', 'bare Fastify', 2.5),
    ];
  },
};

export const postOne = {
  id: 'post-1',
  title: 'POST one event, 1 connection',
  async measure(bench) {
    const writers = await httpWriters(bench, await bench.plainDatabase(), 1);
    const values = await takeTurns(bench.options.rounds, {
      eventdeck: writers.ours,
      'bare Fastify': writers.bareFastify,
    });
    await writers.check();
    const against = 'bare Fastify, one prepared INSERT, plain table';
    return [
      compare({ against, unit: 'events/s', ours: values.eventdeck, reference: values['bare Fastify'], atLeast: 0.8 }),
    ];
  },
};

/** Ours and bare Fastify, both warm, as targets; `check` throws when ours acknowledged more than it stored. */
async function httpWriters(bench, plain, connections) {
  const database = await bench.eventsDatabase();
  const app = await bench.app(database);
  const reference = await bench.reference('insert', { DATABASE_URL: plain });
  const before = await countEvents(database);
  let acknowledged = 0;
  const spec = (server) => ({ url: server.url, requests: POST_REQUESTS, connections });
  const ours = async (load) => {
    const { perSecond, answers } = await load(spec(app));
    acknowledged += answers;
    return perSecond;
  };
  await ours((warm) => bench.warmUp(warm));
  await bench.warmUp(spec(reference));
  return {
    ours: afterCheckpoint(database, () => ours((measured) => bench.load(measured))),
    bareFastify: afterCheckpoint(plain, async () => (await bench.load(spec(reference))).perSecond),
    check: async () => requireStored((await countEvents(database)) - before, acknowledged),
  };
}

/** @throws when events were acknowledged that are not stored */
export function requireStored(stored, acknowledged) {
  if (stored < acknowledged) throw new Error(`${acknowledged} events were acknowledged, ${stored} are stored`);
}

/** The same measurement with nothing left to write back from the one before. */
export function afterCheckpoint(url, measure) {
  return async () => {
    await checkpoint(url);
    return measure();
  };
}
