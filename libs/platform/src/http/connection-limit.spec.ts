import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { until } from '../../../../test/support/services';
import { limitConnections } from './connection-limit';

const MAX = 3;
const GET = 'GET /now HTTP/1.1\r\nHost: deck\r\n\r\n';
const WAIT = 'GET /later HTTP/1.1\r\nHost: deck\r\n\r\n';

describe('connections', () => {
  let server: FastifyInstance;
  let warnings: string[];
  let answer: (() => void)[];
  const clients: Socket[] = [];

  beforeEach(async () => {
    warnings = [];
    answer = [];
    const stream = { write: (line: string) => void warnings.push((JSON.parse(line) as { msg: string }).msg) };
    server = fastify({ logger: { level: 'warn', stream } });
    limitConnections(server, MAX);
    server.get('/now', () => 'now');
    server.get('/later', async () => {
      await new Promise<void>((resolve) => answer.push(resolve));
      return 'later';
    });
    await server.listen({ port: 0, host: '127.0.0.1' });
  });

  afterEach(async () => {
    for (const finish of answer) finish();
    for (const client of clients.splice(0)) client.destroy();
    await server.close();
  });

  /** A connection over which `text` was sent and, where it was anything, answered or taken. */
  async function open(text = ''): Promise<Socket> {
    const { port } = server.server.address() as AddressInfo;
    const accepted = once(server.server, 'connection');
    const client = connect(port, '127.0.0.1').on('error', () => undefined);
    clients.push(client);
    await Promise.all([accepted, once(client, 'connect')]);
    const before = answer.length;
    if (text !== '') client.write(text);
    if (text === GET) await once(client, 'data');
    if (text === WAIT) await until(() => answer.length > before, 'it is taken');
    client.resume();
    return client;
  }

  const isClosed = (client: Socket): Promise<void> => until(() => client.destroyed, 'it is closed');

  it('that never made a request give way first, the oldest of them', async () => {
    const [used, older, newer] = [await open(GET), await open(), await open()];
    const newest = await open();
    await isClosed(older);
    expect([used, newer, newest].map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
  });

  it('that wait for their next request give way next, the one that is idle the longest', async () => {
    const [first, second] = [await open(GET), await open(GET)];
    first.write(GET);
    await once(first, 'data');
    await open(WAIT);
    await open(GET);
    await isClosed(second);
    expect(first.destroyed).toBe(false);
  });

  it('that wait for an answer never do: the new one is closed, and it is said once', async () => {
    const waiting = [await open(WAIT), await open(WAIT), await open(WAIT)];
    for (let round = 0; round < 3; round++) await isClosed(await open());
    expect(waiting.map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
    expect(warnings).toEqual([expect.stringContaining('MAX_CONNECTIONS')]);
    answer.shift()?.();
    await until(() => waiting.some((client) => client.bytesRead > 0), 'one is answered');
    expect((await open(GET)).destroyed).toBe(false);
  });
});
