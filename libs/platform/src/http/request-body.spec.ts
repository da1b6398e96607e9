import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { buffer as readBytes, text as readText } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import fastify, { type FastifyContextConfig, type FastifyInstance } from 'fastify';
import { AppError } from './app-error';
import { limitBodyTime } from './body-deadline';
import { sendProblem, toAppError } from './problem.filter';
import { readBodies, type BufferedContent, type StreamedContent } from './request-body';

const LIMIT = 1024 * 1024;
const TYPES: NonNullable<FastifyContextConfig['body']>['types'] = ['application/json', 'application/x-ndjson'];

/** Fastify with a route for each way to read a body, and one that reads none. */
async function startServer(timeoutMs: number): Promise<FastifyInstance> {
  const server = fastify({ bodyLimit: 1 });
  server.setErrorHandler((error, incoming, reply) => sendProblem(toAppError(error), incoming, reply));
  limitBodyTime(server, timeoutMs);
  readBodies(server);
  server.post('/json', ({ body }) => ({ body }));
  server.post('/bytes', { config: { body: { as: 'bytes', types: TYPES, limit: LIMIT } } }, ({ body }) => {
    const { type, bytes } = body as BufferedContent;
    return { type, length: bytes.length };
  });
  const stream: FastifyContextConfig = { body: { as: 'stream', types: ['text/csv', ...TYPES], limit: Infinity } };
  server.post('/stream', { config: stream }, async ({ body }) => {
    const { type, chunks } = body as StreamedContent;
    let length = 0;
    for await (const chunk of chunks) length += chunk.length;
    return { type, length };
  });
  server.post('/slow', { config: stream }, async ({ body }) => {
    let count = 0;
    for await (const { length } of (body as StreamedContent).chunks) {
      if (count === 0) await pause(3 * timeoutMs);
      count += length;
    }
    return { count };
  });
  server.post('/refuse', { config: stream }, async ({ body }) => {
    for await (const { length } of (body as StreamedContent).chunks) throw new AppError('invalid', `no ${length}`);
  });
  server.post('/echo', { config: { body: { as: 'bytes', types: TYPES, limit: LIMIT } } }, ({ body }, reply) =>
    reply.type('application/octet-stream').send((body as BufferedContent).bytes),
  );
  server.get('/unread', () => ({ done: true }));
  await server.listen({ port: 0, host: '127.0.0.1' });
  return server;
}

/** A request of which the head is sent, and nothing more. */
function open(server: FastifyInstance, path: string, headers: Record<string, string | number> = {}): ClientRequest {
  const { port } = server.server.address() as AddressInfo;
  const type = { 'content-type': 'application/json' };
  const opened = request({
    port,
    host: '127.0.0.1',
    path,
    method: 'POST',
    agent: false,
    headers: { ...type, ...headers },
  });
  opened.on('error', () => undefined);
  opened.flushHeaders();
  return opened;
}

async function answerTo(
  opened: ClientRequest,
): Promise<{ status: number; headers: IncomingMessage['headers']; body: unknown }> {
  const [response] = (await once(opened, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(await readText(response)) };
}

async function post(
  server: FastifyInstance,
  path: string,
  body: string | Buffer,
  headers: Record<string, string | number> = {},
): ReturnType<typeof answerTo> {
  const opened = open(server, path, headers);
  opened.end(body);
  return answerTo(opened);
}

describe('request bodies by the rules of their route', () => {
  let server: FastifyInstance;

  beforeAll(async () => {
    server = await startServer(30_000);
  });

  afterAll(() => server.close());

  it('is JSON where nothing else is said', async () => {
    expect(await post(server, '/json', '{"a":1}')).toMatchObject({ status: 200, body: { body: { a: 1 } } });
    for (const type of ['application/x-ndjson', 'text/csv', 'text/plain']) {
      expect(await post(server, '/json', '{"a":1}', { 'content-type': type })).toMatchObject({
        status: 415,
        body: { detail: 'Send the request body with Content-Type: application/json.' },
      });
    }
  });

  it.each(['/bytes', '/stream'])('reads the types of the route, whatever their spelling: %s', async (path) => {
    for (const [given, type] of [
      ['application/json', 'application/json'],
      ['Application/X-NDJSON; charset=UTF-8', 'application/x-ndjson'],
      ['application/json;charset="utf-8"', 'application/json'],
    ] as const) {
      const answer = await post(server, path, 'any text', { 'content-type': given });
      expect(answer).toMatchObject({ status: 200, body: { type, length: 8 } });
    }
  });

  it.each([
    ['/bytes', 'application/json or application/x-ndjson'],
    ['/stream', 'text/csv, application/json or application/x-ndjson'],
  ])('names the types of the route: %s', async (path, types) => {
    for (const type of ['text/plain', 'application/jsonp', 'application/json-seq']) {
      expect(await post(server, path, 'x', { 'content-type': type })).toMatchObject({
        status: 415,
        body: { detail: `Send the request body with Content-Type: ${types}.` },
      });
    }
  });

  it.each(['/json', '/bytes', '/stream'])('reads UTF-8 only, and nothing compressed: %s', async (path) => {
    for (const [name, value] of [
      ['content-type', 'application/json; charset=latin1'],
      ['content-encoding', 'gzip'],
    ] as const) {
      expect(await post(server, path, '{}', { [name]: value })).toMatchObject({ status: 415 });
    }
  });

  it('reads so many bytes and no more, told before or not', async () => {
    for (const path of ['/json', '/bytes']) {
      for (const length of [{ 'transfer-encoding': 'chunked' }, undefined]) {
        const fill = (bytes: number): Buffer => Buffer.from('{}'.padEnd(bytes));
        expect(await post(server, path, fill(LIMIT), length)).toMatchObject({ status: 200 });
        expect(await post(server, path, fill(LIMIT + 1), length)).toMatchObject({
          status: 413,
          body: { detail: 'The request body is larger than 1 MiB.' },
        });
      }
    }
    expect(await post(server, '/stream', Buffer.alloc(20 * LIMIT))).toMatchObject({ body: { length: 20 * LIMIT } });
  });

  it('hands over what came, in whatever parts, with a length or without', async () => {
    const content = Buffer.from(
      Array.from({ length: LIMIT / 4 }, (_, place) => String(1000 + (place % 9000))).join(''),
    );
    const lengths: Record<string, string | number>[] = [
      { 'content-length': content.length },
      { 'transfer-encoding': 'chunked' },
    ];
    for (const headers of lengths) {
      for (const parts of [1, 2, 3, 7, 64]) {
        const opened = open(server, '/echo', headers);
        const response = once(opened, 'response') as Promise<[IncomingMessage]>;
        const size = Math.ceil(content.length / parts);
        for (let at = 0; at < content.length; at += size) {
          const part = content.subarray(at, at + size);
          await new Promise((resolve) => opened.write(part, resolve));
        }
        opened.end();
        expect((await readBytes((await response)[0])).equals(content)).toBe(true);
      }
    }
  });

  it('has room of its own for a body once a quarter has come, and not for what is only announced', async () => {
    const room = jest.spyOn(Buffer, 'allocUnsafeSlow');
    const sized = (): number[] => room.mock.calls.map(([size]) => size).filter((size) => size === LIMIT);
    const opened = open(server, '/bytes', { 'content-length': LIMIT });
    await new Promise((resolve) => opened.write(Buffer.alloc(LIMIT / 4 - 1), resolve));
    await post(server, '/bytes', 'something else');
    expect(sized()).toEqual([]);
    opened.end(Buffer.alloc((3 * LIMIT) / 4 + 1));
    expect(await answerTo(opened)).toMatchObject({ status: 200, body: { length: LIMIT } });
    expect(sized()).toEqual([LIMIT]);
    room.mockRestore();
  });

  it('refuses what is announced to be too long before it comes', async () => {
    for (const path of ['/json', '/bytes']) {
      const opened = open(server, path, { 'content-length': LIMIT + 1 });
      expect(await answerTo(opened)).toMatchObject({ status: 413 });
      opened.destroy();
    }
  });

  it('answers a client that reads nothing before it has sent everything', async () => {
    const size = 64 * LIMIT;
    const { port } = server.server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1').pause();
    socket.write(`POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: ${size}\r\n\r\n`);
    await new Promise((resolve) => socket.write(Buffer.alloc(size), resolve));
    socket.resume();
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 422 /);
    socket.destroy();
  });
});

it('parses large bodies that come together in turns of the event loop, and small ones at once', async () => {
  const server = fastify();
  readBodies(server);
  let turn = 0;
  const turns: number[] = [];
  server.post('/json', () => ({ place: turns.push(turn) }));
  await server.ready();
  let now = 0;
  // Each look at the clock is ten milliseconds of work.
  jest.spyOn(performance, 'now').mockImplementation(() => (now += 10));
  const turnsOf = async (length: number): Promise<number> => {
    turns.length = 0;
    const body = JSON.stringify('x'.repeat(length));
    const headers = { 'content-type': 'application/json' };
    const all = Array.from({ length: 10 }, () => server.inject({ method: 'POST', url: '/json', headers, body }));
    let isOver = false;
    const over = Promise.all(all).finally(() => (isOver = true));
    for (; !isOver; turn++) await new Promise((resolve) => setImmediate(resolve));
    await over;
    expect(turns).toHaveLength(10);
    return new Set(turns).size;
  };
  expect(await turnsOf(16 * 1024)).toBe(10);
  const small = await turnsOf(1024);
  jest.restoreAllMocks();
  await server.close();
  expect(small).toBe(1);
});

describe('the time that a body may take', () => {
  const TIMEOUT_MS = 1000;
  let server: FastifyInstance;

  beforeAll(async () => {
    server = await startServer(TIMEOUT_MS);
  });

  afterAll(() => server.close());

  it.each(['/json', '/bytes', '/stream'])('ends with 408 for what does not arrive: %s', async (path) => {
    for (const sent of ['', '{"a":']) {
      const opened = open(server, path, { 'content-length': 100 });
      opened.write(sent);
      const { status, headers, body } = await answerTo(opened);
      const detail = 'The request body did not arrive in time: nothing more came within 1 seconds.';
      expect({ status, body }).toMatchObject({ status: 408, body: { detail } });
      expect(headers.connection).toBe('close');
    }
  });

  it('is for all of a body, or for the next byte of a streamed one', async () => {
    const trickle = async (path: string): Promise<number> => {
      const opened = open(server, path, { 'content-length': 15 });
      const answer = answerTo(opened);
      for (let sent = 0; sent < 15 && !opened.destroyed; sent++) {
        opened.write(sent === 0 ? '1' : '0');
        await pause(TIMEOUT_MS / 10);
      }
      return (await answer).status;
    };
    expect(await Promise.all(['/json', '/bytes', '/stream'].map(trickle))).toEqual([408, 408, 200]);
  });

  it('does not run while the service takes its time', async () => {
    const opened = open(server, '/slow', { 'content-length': 4 });
    opened.write('12');
    await pause(2 * TIMEOUT_MS);
    opened.end('34');
    expect(await answerTo(opened)).toMatchObject({ status: 200, body: { count: 4 } });
  });

  it('cuts off what nobody reads', async () => {
    const { port } = server.server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1', () => {
      socket.write('GET /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx');
    });
    socket.on('error', () => undefined);
    const received = readText(socket).catch(() => '');
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toContain('{"done":true}');
    await received;
    expect(socket.readyState).toBe('closed');
  });
});
