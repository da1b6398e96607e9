import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json as readJson } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fastify, { type FastifyContextConfig, type FastifyInstance } from 'fastify';
import { AppError } from './app-error';
import { AVERAGED_MS, LEAST_BYTES_PER_SECOND, limitBodyTime } from './body-deadline';
import { sendProblem, toAppError } from './problem.filter';
import { readBodies, type StreamedContent } from './request-body';

const TIMEOUT_MS = 30_000;

/** Bytes of an upload, of which none sends as many. */
const LENGTH = 1024 ** 3;

/** Only the clock by which the server waits for bodies stands still: a busy machine changes nothing. */
const RUNNING = ['Date', 'hrtime', 'nextTick', 'queueMicrotask', 'setImmediate', 'setInterval'] as const;

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

describe('a body that is read as it comes', () => {
  let server: FastifyInstance;
  let upload: ClientRequest;
  let status: number | undefined;
  let answer: Promise<unknown>;
  let received: number;
  /** What the service waits for after each part. */
  let gate: Promise<void>;

  beforeEach(async () => {
    received = 0;
    status = undefined;
    gate = Promise.resolve();
    jest.useFakeTimers({ doNotFake: [...RUNNING] });
    server = fastify();
    server.setErrorHandler((error, incoming, reply) => sendProblem(toAppError(error), incoming, reply));
    limitBodyTime(server, TIMEOUT_MS);
    readBodies(server);
    const config: FastifyContextConfig = { body: { as: 'stream', types: ['text/csv'], limit: Infinity } };
    server.post('/stream', { config }, async ({ body }) => {
      for await (const { length } of (body as StreamedContent).chunks) {
        received += length;
        await gate;
      }
      return { received };
    });
    server.post('/refuse', { config }, async ({ body }) => {
      for await (const { length } of (body as StreamedContent).chunks) throw new AppError('invalid', `no ${length}`);
    });
    await server.listen({ port: 0, host: '127.0.0.1' });
  });

  afterEach(async () => {
    upload.destroy();
    await server.close();
    jest.useRealTimers();
  });

  function open(path: string): void {
    const { port } = server.server.address() as AddressInfo;
    const headers = { 'content-type': 'text/csv', 'content-length': LENGTH, connection: 'keep-alive' };
    upload = request({ port, host: '127.0.0.1', path, method: 'POST', agent: false, headers });
    upload.on('error', () => undefined);
    answer = (once(upload, 'response') as Promise<[IncomingMessage]>).then(([response]) => {
      status = response.statusCode;
      return readJson(response);
    });
    answer.catch(() => undefined);
    upload.flushHeaders();
  }

  /** Sends so many bytes, and lets a second pass once the service has them. */
  async function sendSecond(bytes: number): Promise<void> {
    const before = received;
    upload.write(Buffer.alloc(bytes));
    await until(() => received === before + bytes || status !== undefined);
    await nextTurn();
    jest.advanceTimersByTime(1000);
    await nextTurn();
  }

  it('may come at the least rate for ever', async () => {
    open('/stream');
    for (let second = 0; second < 5 * (AVERAGED_MS / 1000); second++) await sendSecond(LEAST_BYTES_PER_SECOND);
    expect([status, received]).toEqual([undefined, 5 * (AVERAGED_MS / 1000) * LEAST_BYTES_PER_SECOND]);
  });

  it('ends with 408 when it comes at half of that, after two minutes', async () => {
    open('/stream');
    // The first second gives nothing: a minute is saved up at the beginning, and no more may be.
    for (let second = 0; second < 2 * (AVERAGED_MS / 1000) - 2; second++) await sendSecond(LEAST_BYTES_PER_SECOND / 2);
    expect(status).toBeUndefined();
    for (let second = 0; second < 2; second++) await sendSecond(LEAST_BYTES_PER_SECOND / 2);
    expect(await answer).toMatchObject({
      status: 408,
      detail: 'The request body did not arrive in time: less than 1 KiB a second came, on the average of a minute.',
    });
  });

  it('has no more than a minute saved up, however much came before', async () => {
    open('/stream');
    await sendSecond(10 * 1024 ** 2);
    for (let second = 0; second < AVERAGED_MS / 1000 + 1; second++) await sendSecond(1);
    expect(await answer).toMatchObject({ status: 408 });
  });

  it('may take any time while the service does not read it', async () => {
    open('/stream');
    let goOn = (): void => undefined;
    gate = new Promise((resolve) => (goOn = resolve));
    await sendSecond(1);
    for (let minute = 0; minute < 60; minute++) jest.advanceTimersByTime(60_000);
    goOn();
    for (let second = 0; second < AVERAGED_MS / 1000 - 2; second++) await sendSecond(1);
    expect(status).toBeUndefined();
    for (let second = 0; second < 3; second++) await sendSecond(1);
    expect(await answer).toMatchObject({ status: 408 });
  });

  it('is thrown away for a while once it is refused, and then cut off, however fast it comes', async () => {
    open('/refuse');
    upload.write('x');
    expect(await answer).toMatchObject({ status: 422 });
    const closed = new Promise<void>((resolve) => upload.once('close', resolve));
    let isClosed = false;
    void closed.then(() => (isClosed = true));
    for (let second = 0; second < TIMEOUT_MS / 1000 - 1; second++) {
      upload.write(Buffer.alloc(1024 ** 2));
      jest.advanceTimersByTime(1000);
      for (let turn = 0; turn < 10; turn++) await nextTurn();
    }
    expect(isClosed).toBe(false);
    jest.advanceTimersByTime(1000);
    await closed;
  });
});
