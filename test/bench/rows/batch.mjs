import { countEvents } from '../lib/databases.mjs';
import { sampleEvents } from '../lib/events.mjs';
import { HttpClient } from '../lib/http-client.mjs';
import { compare, takeTurns } from '../lib/measure.mjs';
import { allRowsScript, pgbench } from '../lib/pgbench.mjs';
import { afterCheckpoint, requireStored } from './post.mjs';

const CLIENTS = 8;
const SIZE = 100;
const EVENTS = sampleEvents(SIZE);
export const BATCH_REQUEST = { method: 'POST', path: '/api/events/batch', body: JSON.stringify(EVENTS) };

export const batch = {
  id: 'batch',
  title: 'POST batch of 100, 8 connections',
  async measure(bench) {
    const database = await bench.eventsDatabase();
    const same = await bench.eventsDatabase();
    const plain = await bench.plainDatabase();
    const app = await bench.app(database);
    await requireBatches(app.url);
    const before = await countEvents(database);
    const spec = { url: app.url, requests: [BATCH_REQUEST], connections: CLIENTS };
    let acknowledged = SIZE * (await bench.warmUp(spec)).answers;
    const ours = async () => {
      const { perSecond, answers } = await bench.load(spec);
      acknowledged += SIZE * answers;
      return SIZE * perSecond;
    };
    const insert = (url, table) => {
      const script = allRowsScript(bench.folder, table, EVENTS);
      const { seconds } = bench.options;
      return afterCheckpoint(url, async () => SIZE * (await pgbench({ url, script, clients: CLIENTS, seconds })));
    };
    const values = await takeTurns(bench.options.rounds, {
      eventdeck: afterCheckpoint(database, ours),
      'pgbench, same table': insert(same, 'system_events'),
      'pgbench, plain table': insert(plain, 'plain_events'),
    });
    requireStored((await countEvents(database)) - before, acknowledged);
    const line = (against, reference, atLeast) =>
      compare({ against, unit: 'events/s', ours: values.eventdeck, reference: values[reference], atLeast });
    return [
      line('pgbench, 100-row INSERT, 8 clients, same table', 'pgbench, same table', 0.6),
      line('pgbench, 100-row INSERT, 8 clients, plain table', 'pgbench, plain table'),
    ];
  },
};

async function requireBatches(url) {
  const client = new HttpClient(url);
  const { body } = await client.expect(200, BATCH_REQUEST.method, BATCH_REQUEST.path, BATCH_REQUEST.body);
  client.close();
  const { accepted, ids } = JSON.parse(body);
  if (accepted !== SIZE || new Set(ids).size !== SIZE) throw new Error(`a batch of ${SIZE} answers ${body}`);
}
