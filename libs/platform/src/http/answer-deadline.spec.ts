import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import fastify, { type FastifyInstance } from 'fastify';
import { limitAnswerTime } from './answer-deadline';

const TIMEOUT_MS = 15_000;

/** More than all buffers between server and client take. */
const BUFFERS = 40 * 1024 * 1024;
const LARGE = 4 * BUFFERS;

/** Of all clocks only the one by which the server looks at its answers stands still: a busy machine changes nothing. */
const RUNNING = ['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'setTimeout'] as const;

/** Lets the server look at its answers. */
async function look(times = 1): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    await pause(1);
    jest.advanceTimersByTime(TIMEOUT_MS);
  }
}

async function* slowly(): AsyncGenerator<string> {
  for (const word of ['one', 'two']) {
    yield word;
    await look(4);
  }
}

describe('an answer', () => {
  let server: FastifyInstance;
  let client: Socket | undefined;

  beforeEach(async () => {
    jest.useFakeTimers({ doNotFake: [...RUNNING] });
    server = fastify({ keepAliveTimeout: 60_000 });
    limitAnswerTime(server, TIMEOUT_MS);
    server.get('/large', () => Buffer.alloc(LARGE));
    server.get('/small', () => 'small');
    server.get('/slow', (_request, reply) => reply.send(Readable.from(slowly())));
    server.get('/late', async () => {
      await look(4);
      return 'late';
    });
    await server.listen({ port: 0, host: '127.0.0.1' });
  });

  afterEach(async () => {
    client?.destroy();
    await server.close();
    jest.useRealTimers();
  });

  const url = (path: string): string => `http://127.0.0.1:${(server.server.address() as AddressInfo).port}${path}`;

  /** Asks over a connection of its own, whose answer nobody reads; the end of it that the server has. */
  async function ask(path: string): Promise<Socket> {
    const accepted = once(server.server, 'connection') as Promise<[Socket]>;
    client = connect((server.server.address() as AddressInfo).port, '127.0.0.1');
    client.write(`GET ${path} HTTP/1.1\r\nHost: deck\r\n\r\n`);
    return (await accepted)[0];
  }

  it('that nobody reads ends with its connection', async () => {
    const socket = await ask('/large');
    while (!socket.destroyed) await look();
  });

  it('that nobody reads ends with its connection though the client goes on sending empty lines', async () => {
    const socket = await ask('/large');
    while (!socket.destroyed) {
      client?.write('\r\n');
      await look();
    }
  });

  it('that is read slowly is sent to its end', async () => {
    await ask('/large');
    let length = 0;
    let seen = 0;
    for await (const chunk of client!) {
      length += (chunk as Buffer).length;
      if (length > LARGE) break;
      if (length > seen + BUFFERS) {
        await look();
        seen = length;
      }
    }
    expect(length).toBeGreaterThan(LARGE);
  });

  it.each(['/slow', '/late'])('that takes its time itself is sent to its end: %s', async (path) => {
    expect(await (await fetch(url(path))).text()).toBe(path === '/slow' ? 'onetwo' : 'late');
  });

  it('leaves its connection open for the next request', async () => {
    const socket = await ask('/small');
    await (await fetch(url('/late'))).text();
    expect(socket.destroyed).toBe(false);
  });
});
