import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { readStream } from './body-stream';

const HEAD = 'POST / HTTP/1.1\r\nHost: deck\r\nTransfer-Encoding: chunked\r\n\r\n';

describe('a body as it arrives', () => {
  let server: Server;
  let client: Socket;

  beforeEach(async () => {
    server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterEach(async () => {
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  /** Sends a request, and returns what the server has of it. */
  async function receive(text: string): Promise<IncomingMessage> {
    client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => undefined);
    client.write(text);
    const [message] = (await once(server, 'request')) as [IncomingMessage];
    return message;
  }

  it('is handed on in few parts, however many it comes in', async () => {
    const letters = 'abcdefghij'.repeat(3000);
    const chunks = Array.from(letters, (letter) => `1\r\n${letter}\r\n`).join('');
    const message = await receive(`${HEAD}${chunks}0\r\n\r\n`);
    const parts: Buffer[] = [];
    for await (const part of readStream(message, null)) parts.push(part);
    expect(Buffer.concat(parts).toString()).toBe(letters);
    expect(parts.length).toBeLessThan(letters.length / 100);
  });

  it('is handed on before it ends with an error', async () => {
    const message = await receive(`${HEAD}3\r\none\r\n`);
    const body = readStream(message, null);
    expect(String((await body.next()).value)).toBe('one');
    const next = body.next();
    client.write('3\r\ntwo\r\n', () => client.destroy());
    expect(String((await next).value)).toBe('two');
    await expect(body.next()).rejects.toMatchObject({ kind: 'malformed', message: 'The request body ended early.' });
    expect(await body.next()).toEqual({ done: true, value: undefined });
  });
});
