import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { until } from '../../../../test/support/services';
import { limitBodyTime } from './body-deadline';
import { limitBodyMemory } from './body-memory';
import { sendProblem, toAppError } from './problem.filter';
import { readBodies } from './request-body';
import { logUnavailability } from './unavailable-log';

const MEBIBYTE = 1024 * 1024;

/** All bodies together may take so many MiB. */
const TOTAL = 128;

const BODY = { as: 'bytes' as const, types: ['application/json' as const], limit: TOTAL * MEBIBYTE };

describe('the memory of all bodies', () => {
  let server: FastifyInstance;
  let underWay: (() => void)[];
  const clients: Socket[] = [];

  beforeEach(async () => {
    underWay = [];
    server = fastify();
    server.setErrorHandler((error, request, reply) => sendProblem(toAppError(error), request, reply));
    limitBodyTime(server);
    limitBodyMemory(server);
    logUnavailability(server);
    readBodies(server);
    server.post('/read', { config: { body: BODY } }, () => ({ read: true }));
    server.post('/hold', { config: { body: BODY } }, async () => {
      await new Promise<void>((resolve) => underWay.push(resolve));
      return { held: true };
    });
    server.get('/hold', async () => {
      await new Promise<void>((resolve) => underWay.push(resolve));
      return 'held';
    });
    await server.listen({ port: 0, host: '127.0.0.1' });
  });

  afterEach(async () => {
    for (const finish of underWay) finish();
    for (const client of clients.splice(0)) client.destroy();
    await server.close();
  });

  const port = (): number => (server.server.address() as AddressInfo).port;

  async function post(path: string, mebibytes: number): Promise<number> {
    const headers = { 'content-type': 'application/json' };
    const body = Buffer.alloc(mebibytes * MEBIBYTE);
    const response = await fetch(`http://127.0.0.1:${port()}${path}`, { method: 'POST', headers, body });
    await response.text();
    return response.status;
  }

  /** A connection over which `parts` were sent. */
  async function open(...parts: (string | Buffer)[]): Promise<Socket> {
    const client = connect(port(), '127.0.0.1').on('error', () => undefined);
    clients.push(client);
    await once(client, 'connect');
    for (const part of parts) client.write(part);
    return client;
  }

  const head = (path: string, length: number): string =>
    `POST ${path} HTTP/1.1\r\nHost: deck\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;

  it('is bounded, small ones apart, and given back with each answer', async () => {
    const held = post('/hold', TOTAL - 1);
    await until(() => underWay.length === 1, 'it is under way');
    expect([await post('/read', 2), await post('/read', 0.05)]).toEqual([503, 200]);
    underWay[0]?.();
    expect([await held, await post('/read', TOTAL - 1)]).toEqual([200, 200]);
  });

  it('is kept while the body of a client that left is under way, and given back afterwards', async () => {
    const length = (TOTAL - 1) * MEBIBYTE;
    const client = await open(head('/hold', length), Buffer.alloc(length));
    await until(() => underWay.length === 1, 'it is under way');
    client.destroy();
    await until(async () => (await connections()) === 0, 'the client is gone');
    expect(await post('/read', 2)).toBe(503);
    underWay[0]?.();
    await until(async () => (await post('/read', 2)) === 200, 'it is given back');
  });

  it.each([0, 1])(
    'is given back by a client that left behind an answer that it waited for (%i MiB missing)',
    async (missing) => {
      const length = (TOTAL - 1) * MEBIBYTE;
      const client = await open('GET /hold HTTP/1.1\r\nHost: deck\r\n\r\n', head('/read', length));
      await until(() => underWay.length === 1, 'the first request is under way');
      client.write(Buffer.alloc(length - missing * MEBIBYTE));
      await until(() => client.writableLength === 0, 'it is sent');
      client.destroy();
      await until(async () => (await connections()) === 0, 'the client is gone');
      underWay[0]?.();
      await until(async () => (await post('/read', TOTAL - 1)) === 200, 'it is given back');
    },
  );

  it('counts the parts that a body comes in', async () => {
    const client = await open(
      head('/read', 10 * MEBIBYTE).replace(/Content-Length: \d+/, 'Transfer-Encoding: chunked'),
    );
    let answer = '';
    client.setEncoding('latin1').on('data', (text: string) => (answer += text));
    const parts = '1\r\nx\r\n'.repeat(10_000);
    for (let sent = 0; sent < 100 && answer === ''; sent++) {
      if (!client.write(parts)) await once(client, 'drain');
    }
    await until(() => answer !== '', 'it is answered');
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  });

  async function connections(): Promise<number> {
    return new Promise((resolve) => server.server.getConnections((_error, count) => resolve(count)));
  }
});
