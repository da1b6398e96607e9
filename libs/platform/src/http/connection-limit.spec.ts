import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { promisify } from 'node:util';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { until } from '../../../../test/support/services';
import { limitConnections, PROBE_CONNECTIONS } from './connection-limit';
import { sendProblem, toAppError } from './problem.filter';
import { logUnavailability } from './unavailable-log';

const MAX = 3;
const GET = 'GET /now HTTP/1.1\r\nHost: deck\r\n\r\n';
const WAIT = 'GET /later HTTP/1.1\r\nHost: deck\r\n\r\n';
const PROBE = 'GET /health/live HTTP/1.1\r\nHost: deck\r\n\r\n';

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
    server.setErrorHandler((error, request, reply) => sendProblem(toAppError(error), request, reply));
    logUnavailability(server);
    limitConnections(server, MAX);
    server.decorateRequest('bodyDeadline', null);
    server.addHook('onRequest', (request, _reply, done) => {
      const behindMs = Number(request.headers['x-behind']);
      if (behindMs > 0) request.bodyDeadline = { behindMs } as FastifyRequest['bodyDeadline'];
      done();
    });
    server.get('/now', () => 'now');
    server.get('/health/live', () => 'live');
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
    if (text.startsWith('GET /later')) await until(() => answer.length > before, 'it is taken');
    client.resume();
    return client;
  }

  const connections = (): Promise<number> => promisify(server.server.getConnections.bind(server.server))();

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

  /** An upload that is so many milliseconds behind the least rate. */
  const uploading = (behindMs: number): string => WAIT.replace('\r\n\r\n', `\r\nX-Behind: ${behindMs}\r\n\r\n`);

  /** Sends `text` over a connection, and reads until the server closes it. */
  async function ask(client: Socket, text: string): Promise<string> {
    let received = '';
    client.on('data', (bytes: Buffer) => (received += bytes.toString()));
    client.write(text);
    await isClosed(client);
    return received;
  }

  it('of uploads give way after those that are idle, the slowest of them', async () => {
    const [idle, slow, slower] = [await open(GET), await open(uploading(2000)), await open(uploading(3000))];
    const kept = [await open(WAIT)];
    await isClosed(idle);
    kept.push(await open(WAIT));
    await isClosed(slower);
    expect(slow.destroyed).toBe(false);
    kept.push(await open(WAIT));
    await isClosed(slow);
    expect(kept.map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
  });

  it('that come at once do not take the place of each other while uploads are slow', async () => {
    const uploads = [await open(uploading(2000)), await open(uploading(3000)), await open(WAIT)];
    const newcomers = [await open(), await open()];
    for (const newcomer of newcomers) {
      newcomer.write(GET);
      await until(() => newcomer.bytesRead > 0, 'it is answered');
    }
    expect(uploads.map(({ destroyed }) => destroyed)).toEqual([true, true, false]);
  });

  it('of uploads never give way while they are fast enough, or owe another answer', async () => {
    const uploads = [await open(uploading(999)), await open(uploading(999)), await open(WAIT)];
    uploads[2]?.write(uploading(2000));
    await until(() => answer.length === 4, 'the second request is taken');
    expect(await ask(await open(), GET)).toMatch(/^HTTP\/1\.1 503 /);
    expect(uploads.map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
  });

  it('that wait for an answer never do: the new one is told so and closed, and it is logged once', async () => {
    const waiting = [await open(WAIT), await open(WAIT), await open(WAIT)];
    for (let round = 0; round < 3; round++) {
      const refusal = await ask(await open(), GET);
      expect(refusal).toMatch(/^HTTP\/1\.1 503 [^]*All connections are in use/);
      expect(refusal.toLowerCase()).toContain('connection: close');
    }
    expect(waiting.map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
    expect(warnings.filter((line) => line.includes('MAX_CONNECTIONS'))).toHaveLength(1);
    answer.shift()?.();
    await until(() => waiting.some((client) => client.bytesRead > 0), 'one is answered');
    expect((await open(GET)).destroyed).toBe(false);
  });

  it('of probes are answered beyond the limit, whoever else says nothing there', async () => {
    for (let count = 0; count < MAX; count++) await open(WAIT);
    const silent: Socket[] = [];
    for (let count = 0; count < PROBE_CONNECTIONS; count++) silent.push(await open());
    for (let round = 0; round < 2 * PROBE_CONNECTIONS; round++) {
      const received = await ask(await open(), PROBE);
      expect(received).toMatch(/^HTTP\/1\.1 200 [^]*live$/);
      silent.push(await open());
    }
    expect(silent.filter(({ destroyed }) => !destroyed)).toHaveLength(PROBE_CONNECTIONS);
  });

  it('beyond the limit are like others once there is room', async () => {
    const waiting = [await open(WAIT), await open(WAIT), await open(WAIT)];
    const beyond = await open();
    waiting[0]?.destroy();
    await until(async () => (await connections()) === MAX, 'one is gone');
    beyond.write(GET);
    await until(() => beyond.bytesRead > 0, 'it is answered');
    beyond.write(GET);
    await until(() => beyond.bytesRead > 300, 'it is answered again');
    expect(beyond.destroyed).toBe(false);
  });
});
