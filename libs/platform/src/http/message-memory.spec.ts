import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { until } from '../../../../test/support/services';
import { limitBodyTime } from './body-deadline';
import { JsonText, sendJsonText } from './json-text';
import { limitMessageMemory, MAX_MESSAGE_BYTES, maxMessageBytes } from './message-memory';
import { sendProblem, toAppError } from './problem.filter';
import { readBodies } from './request-body';
import { logUnavailability } from './unavailable-log';

const MEBIBYTE = 1024 * 1024;

/** All bodies together may take so many MiB, and all answers as many. */
const TOTAL = MAX_MESSAGE_BYTES / MEBIBYTE;

const ETAG = '"large"';

const BODY = { as: 'bytes' as const, types: ['application/json' as const], limit: TOTAL * MEBIBYTE };

describe('the memory of all bodies and answers', () => {
  let server: FastifyInstance;
  let underWay: (() => void)[];
  /** Answers, sent or not. */
  let made: number;
  const clients: Socket[] = [];

  beforeEach(async () => {
    underWay = [];
    made = 0;
    server = fastify();
    server.setErrorHandler((error, request, reply) => sendProblem(toAppError(error), request, reply));
    limitBodyTime(server);
    limitMessageMemory(server);
    logUnavailability(server);
    readBodies(server);
    server.post('/read', { config: { body: BODY } }, () => ({ read: true }));
    server.post('/hold', { config: { body: BODY } }, async () => {
      await new Promise<void>((resolve) => underWay.push(resolve));
      return { held: true };
    });
    // Answers of so many MiB.
    server.get<{ Params: { size: number } }>('/large/:size', (request, reply) => answer(reply, request.params.size));
    server.post<{ Params: { size: number } }>('/large/:size', { config: { body: BODY } }, (request, reply) =>
      answer(reply, request.params.size),
    );
    server.get<{ Params: { size: number } }>('/wide/:size', (request, reply) =>
      answer(reply, request.params.size, '\u{4e00}'),
    );
    server.post('/json', async () => {
      await new Promise<void>((resolve) => underWay.push(resolve));
      return { held: true };
    });
    server.get<{ Params: { size: number } }>('/hold/:size', async (request, reply) => {
      await new Promise<void>((resolve) => underWay.push(resolve));
      return answer(reply, request.params.size);
    });
    await server.listen({ port: 0, host: '127.0.0.1' });
  });

  afterEach(async () => {
    for (const finish of underWay) finish();
    for (const client of clients.splice(0)) client.destroy();
    await server.close();
  });

  function answer(reply: FastifyReply, mebibytes: number, character = 'x'): FastifyReply {
    made++;
    sendJsonText(reply, new JsonText(character.repeat(mebibytes * MEBIBYTE), { etag: ETAG }));
    return reply;
  }

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

  it('is bounded, small bodies apart, and given back with each answer', async () => {
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
      const client = await open('GET /hold/1 HTTP/1.1\r\nHost: deck\r\n\r\n', head('/read', length));
      await until(() => underWay.length === 1, 'the first request is under way');
      client.write(Buffer.alloc(length - missing * MEBIBYTE));
      await until(() => client.writableLength === 0, 'it is sent');
      client.destroy();
      await until(async () => (await connections()) === 0, 'the client is gone');
      underWay[0]?.();
      await until(async () => (await post('/read', TOTAL - 1)) === 200, 'it is given back');
    },
  );

  /** A JSON body of so many objects, three bytes each. */
  const objects = (count: number): string => `[${Array<string>(count).fill('{}').join(',')}]`;

  async function postJson(body: string, headers: Record<string, string> = {}): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${port()}/json`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    await response.text();
    return response.status;
  }

  it.each([60, 1000])(
    'counts what the values of JSON take before they are parsed: %i KiB of objects',
    async (kibibytes) => {
      const body = objects(Math.floor((kibibytes * 1024) / 3));
      const cost = body.length + Math.floor((64 * body.length) / 3) - 64 * 1024;
      const most = Math.floor(MAX_MESSAGE_BYTES / cost);
      const answers = Array.from({ length: most }, () => postJson(body));
      await until(() => underWay.length === most, 'as many are parsed as there is room for');
      const parse = jest.spyOn(JSON, 'parse');
      expect(await postJson(body)).toBe(503);
      expect(parse).not.toHaveBeenCalled();
      parse.mockRestore();
      // A small one and a flat one find room.
      answers.push(postJson('{"a":1}'), postJson(`"${'x'.repeat(50_000)}"`));
      await until(() => underWay.length === most + 2, 'small ones are parsed');
      for (const finish of underWay.splice(0)) finish();
      expect(await Promise.all(answers)).toEqual(answers.map(() => 200));
      const again = postJson(body);
      await until(() => underWay.length === 1, 'it is given back');
      underWay[0]?.();
      expect(await again).toBe(200);
    },
  );

  it.each([
    ['256 MiB', 256, 32],
    ['512 MiB', 512, 64],
    ['1 GiB', 1024, 128],
    ['4 GiB', 4096, 128],
    ['64 MiB', 64, 32],
  ])('is a part of a heap of %s', (_name, heap, expected) => {
    expect(maxMessageBytes(heap * MEBIBYTE)).toBe(expected * MEBIBYTE);
  });

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

  it('is bounded for answers that wait to be read, and given back once they are, or their client is gone', async () => {
    const client = await askFor(TOTAL - 1);
    expect([await get(2), await get(0.05), await post('/read', TOTAL - 1)]).toEqual([503, 200, 200]);
    client.destroy();
    await until(async () => (await get(TOTAL - 1)) === 200, 'it is given back');
    expect(await get(TOTAL - 1)).toBe(200);
  });

  it('is given back by an answer that waits behind another one on a connection that is lost', async () => {
    const client = await open('GET /hold/1 HTTP/1.1\r\nHost: deck\r\n\r\n', ask(TOTAL - 1));
    await until(async () => (await get(2)) === 503, 'the second answer is made');
    client.destroy();
    await until(async () => (await get(TOTAL - 1)) === 200, 'it is given back');
  });

  it('is not taken by an answer whose client is gone before it is made', async () => {
    const client = await open(`GET /hold/${TOTAL - 1} HTTP/1.1\r\nHost: deck\r\n\r\n`);
    await until(() => underWay.length === 1, 'it is under way');
    client.destroy();
    await until(async () => (await connections()) === 0, 'the client is gone');
    underWay[0]?.();
    await until(() => made === 1, 'its answer is made');
    expect(await get(TOTAL - 1)).toBe(200);
  });

  it('never hides what a request has changed, nor that nothing has changed since', async () => {
    await askFor(TOTAL - 1);
    expect(await post('/large/2', 0)).toBe(200);
    expect(await get(2, { 'if-none-match': ETAG })).toBe(304);
    expect(await get(2)).toBe(503);
  });

  it('counts the answers to changes too', async () => {
    const client = await open(head(`/large/${TOTAL}`, 0));
    await until(async () => (await get(2)) === 503, 'it is made');
    client.destroy();
    await until(async () => (await get(2)) === 200, 'it is given back');
  });

  it('is not needed for an answer without its body', async () => {
    await open(ask(1).replace('/large/', '/hold/'), ask(TOTAL - 1).replace('GET', 'HEAD'));
    await until(() => underWay.length === 1 && made === 1, 'it waits behind another one');
    expect(await get(TOTAL - 1)).toBe(200);
  });

  it('is counted by bytes, not by characters', async () => {
    expect((await fetch(`http://127.0.0.1:${port()}/wide/${TOTAL / 2}`)).status).toBe(503);
  });

  it('is watched once on each connection, however many answers wait on it', async () => {
    const connection = once(server.server, 'connection') as Promise<[Socket]>;
    const client = await open();
    const [socket] = await connection;
    client.write(ask(0.1).repeat(20));
    await until(() => made === 20, 'all are made');
    expect(socket.listenerCount('close')).toBeLessThan(10);
  });

  async function get(mebibytes: number, headers: Record<string, string> = {}): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${port()}/large/${mebibytes}`, { headers });
    await response.text();
    return response.status;
  }

  const ask = (mebibytes: number): string => `GET /large/${mebibytes} HTTP/1.1\r\nHost: deck\r\n\r\n`;

  /** Asks for an answer of so many MiB over a connection that reads nothing; resolves when it is being sent. */
  async function askFor(mebibytes: number): Promise<Socket> {
    const client = await open(ask(mebibytes));
    await once(client, 'readable');
    return client;
  }

  async function connections(): Promise<number> {
    return new Promise((resolve) => server.server.getConnections((_error, count) => resolve(count)));
  }
});
