import { countEvents, createEvent, EVENT, startEmptyApp, type ProblemBody } from '../support/events';
import { sendRaw, type RawAnswer } from '../support/raw-http';
import { startApp, type TestApp } from '../support/test-app';

const FOREIGN = 'evil.example';

/** A request for `host`, or without the header where there is none. */
function ask(
  { url }: TestApp,
  host: string | undefined,
  { method = 'GET', target = '/api/events', lines = [], body = '', version = '1.1' }: Partial<Asked> = {},
): Promise<RawAnswer> {
  const head = [
    `${method} ${target} HTTP/${version}`,
    ...(host === undefined ? [] : [`Host: ${host}`]),
    'Connection: close',
    ...(body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${body.length}`]),
    ...lines,
  ];
  return sendRaw(url, `${head.join('\r\n')}\r\n\r\n${body}`);
}

interface Asked {
  method: string;
  target: string;
  lines: string[];
  body: string;
  version: string;
}

function expectRefused(answer: RawAnswer, status: number): ProblemBody {
  expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/problem+json; charset=utf-8']);
  expect(answer.headers['cache-control']).toBe('no-store');
  expect(answer.headers['content-security-policy']).toBeDefined();
  const problem = JSON.parse(answer.body) as ProblemBody;
  expect(problem).toMatchObject({ status, request_id: answer.headers['x-request-id'] });
  return problem;
}

describe('without a token', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp({ CORS_ORIGINS: '*', TRUST_PROXY: 'loopback' });
    await createEvent(api, { message: 'for this machine only' });
  });

  afterAll(() => api.close());

  it.each([
    ...['localhost', 'LOCALHOST', 'localhost:8001', 'localhost.', 'LocalHost.:1', 'deck.localhost', 'a.b.localhost.:9'],
    ...['127.0.0.1', '127.0.0.1:65535', '127.255.1.2', '127.1', '0x7f.1', '2130706433', '127.0.0.1.', '127.0.0.1:'],
    ...['[::1]', '[::1]:8001', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]:80'],
  ])('%s is answered', async (host) => {
    expect((await ask(api, host)).status).toBe(200);
  });

  it.each([
    ...[FOREIGN, 'EVIL.example:8001', 'localhost.evil.example', 'evil.localhost.example', 'evil-localhost', 'localhos'],
    ...['127.0.0.1.evil.example', '127.0.0.1.nip.io', 'localhost.localdomain', 'localhost..', '.localhost.x', 'host_a'],
    ...['10.0.0.1', '0.0.0.0', '128.0.0.1', '126.255.255.255', '[::]', '[::2]', '[fe80::1]', '[::ffff:10.0.0.1]'],
    ...['', '*', 'null', 'xn--lcalhost-n0a', 'l\u00f6calhost'],
  ])('%p is refused', async (host) => {
    const { detail } = expectRefused(await ask(api, host), 421);
    expect(detail).toMatch(/ALLOWED_HOSTS.*API_TOKEN/);
  });

  it.each([
    ...[
      'a b',
      'localhost/',
      `${FOREIGN}/@localhost`,
      `localhost#.${FOREIGN}`,
      'user@localhost',
      `localhost?${FOREIGN}`,
    ],
    ...['[::1', '::1', '[localhost]', 'localhost:99999', 'localhost:x', 'localhost:80:80', `localhost\\.${FOREIGN}`],
    ...['localhost, evil.example', ':8001'],
  ])('%p is no host', async (host) => {
    expectRefused(await ask(api, host), 400);
  });

  it('names the host and what to do, and repeats no more of it than a line', async () => {
    const { detail } = expectRefused(await ask(api, `${FOREIGN}:8001`), 421);
    expect(detail).toBe(
      'This service does not answer for the host evil.example: add it to ALLOWED_HOSTS, or set API_TOKEN.',
    );
    const long = expectRefused(await ask(api, 'x'.repeat(8000)), 421);
    expect(long.detail.length).toBeLessThan(250);
  });

  it.each([
    ['GET', '/'],
    ['GET', '/docs'],
    ['GET', '/docs/swagger-ui.css'],
    ['GET', '/openapi.json'],
    ['GET', '/health'],
    ['GET', '/health/live'],
    ['GET', '/api/health'],
    ['GET', '/api/events/1'],
    ['GET', '/api/events/stats'],
    ['GET', '/nothing/here'],
    ['PATCH', '/api/events'],
    ['OPTIONS', '/api/events'],
    ['OPTIONS', '/nothing/here'],
    ['OPTIONS', '*'],
    ['DELETE', '/api/events/1'],
    ['DELETE', '/api/events?event_type=deployment'],
    ['POST', '/api/events'],
    ['POST', '/api/events/batch'],
  ])('%s %s is refused for another host', async (method, target) => {
    const body = method === 'POST' ? JSON.stringify(target.endsWith('batch') ? [EVENT] : EVENT) : '';
    const lines = method === 'OPTIONS' ? ['Origin: http://evil.example', 'Access-Control-Request-Method: PUT'] : [];
    expectRefused(await ask(api, FOREIGN, { method, target, body, lines }), 421);
    expect(await countEvents(api)).toBe(1);
  });

  it('a target in absolute form counts, and the Host header beside it does not', async () => {
    const target = (host: string, path = '/api/events'): Partial<Asked> => ({ target: `http://${host}${path}` });
    expectRefused(await ask(api, 'localhost', target(FOREIGN)), 421);
    expectRefused(await ask(api, 'localhost', target(`localhost@${FOREIGN}`)), 421);
    expectRefused(await ask(api, 'localhost', target(FOREIGN, '')), 421);
    expectRefused(await ask(api, 'localhost', target(`${FOREIGN}?/localhost/`)), 421);
    expectRefused(await ask(api, undefined, { ...target(FOREIGN), version: '1.0' }), 421);
    expectRefused(await ask(api, 'localhost', { target: `HTTPS://${FOREIGN}/api/events` }), 421);
    expect((await ask(api, FOREIGN, target('localhost:1'))).status).toBe(200);
    expect((await ask(api, FOREIGN, target('localhost', ''))).status).toBe(200);
    expect((await ask(api, FOREIGN, target('localhost', '?x'))).status).toBe(200);
    // Neither a path nor absolute: what it names is not there.
    for (const odd of ['*api/events', '*', 'ftp://localhost/api/events']) {
      expect([odd, expectRefused(await ask(api, 'localhost', { target: odd }), 404).instance]).toEqual([odd, odd]);
      expectRefused(await ask(api, FOREIGN, { target: odd }), 421);
    }
  });

  it('HTTP/1.1 names one host, and HTTP/1.0 need not', async () => {
    expectRefused(await ask(api, undefined), 400);
    expectRefused(await ask(api, undefined, { target: 'http://localhost/api/events' }), 400);
    for (const [first, second] of [
      ['localhost', FOREIGN],
      [FOREIGN, 'localhost'],
      ['localhost', 'localhost'],
    ]) {
      expectRefused(await ask(api, first, { lines: [`hOST: ${second}`] }), 400);
    }
    expect((await ask(api, undefined, { version: '1.0' })).status).toBe(200);
    expectRefused(await ask(api, FOREIGN, { version: '1.0' }), 421);
  });

  it('what a proxy says the host was does not count, trusted or not', async () => {
    const forwarded = (host: string): Partial<Asked> => ({
      lines: [`X-Forwarded-Host: ${host}`, `Forwarded: host=${host}`, `X-Host: ${host}`],
    });
    expectRefused(await ask(api, FOREIGN, forwarded('localhost')), 421);
    expect((await ask(api, 'localhost', forwarded(FOREIGN))).status).toBe(200);
  });

  it('a host stays refused however often it is asked for, and an allowed one allowed', async () => {
    for (let round = 0; round < 3; round++) {
      expectRefused(await ask(api, FOREIGN), 421);
      expect((await ask(api, 'localhost:8001')).status).toBe(200);
    }
  });
});

describe('with settings', () => {
  async function withApp(variables: Record<string, string>, work: (api: TestApp) => Promise<void>): Promise<void> {
    const api = await startApp(variables);
    await work(api).finally(() => api.close());
  }

  it('ALLOWED_HOSTS lets names in, with any port', () =>
    withApp({ ALLOWED_HOSTS: 'Deck.example, .intern.example, 192.0.2.7, ::2, b\u00fccher.example' }, async (api) => {
      for (const host of [
        ...['deck.example', 'DECK.EXAMPLE:443', 'deck.example.', 'intern.example', 'a.b.intern.example:8001'],
        ...['192.0.2.7:1', '[::2]', 'xn--bcher-kva.example', 'localhost', '127.0.0.1'],
      ]) {
        expect([host, (await ask(api, host)).status]).toEqual([host, 200]);
      }
      for (const host of ['a.deck.example', 'notintern.example', 'deck.example.evil', '192.0.2.8', FOREIGN]) {
        expectRefused(await ask(api, host), 421);
      }
    }));

  it('ALLOWED_HOSTS=* lets every host in, one at a time', () =>
    withApp({ ALLOWED_HOSTS: '*' }, async (api) => {
      for (const host of [FOREIGN, '192.0.2.8', '']) expect((await ask(api, host)).status).toBe(200);
      expectRefused(await ask(api, 'localhost', { lines: ['Host: localhost'] }), 400);
      expectRefused(await ask(api, 'no host'), 400);
    }));

  it('with API_TOKEN every host may be asked for, unless ALLOWED_HOSTS says otherwise', async () => {
    const lines = ['Authorization: Bearer secret'];
    await withApp({ API_TOKEN: 'secret' }, async (api) => {
      for (const host of [FOREIGN, '192.0.2.8', 'localhost']) {
        expect((await ask(api, host, { lines })).status).toBe(200);
        expectRefused(await ask(api, host), 401);
      }
      expectRefused(await ask(api, undefined, { lines }), 400);
    });
    await withApp({ API_TOKEN: 'secret', ALLOWED_HOSTS: 'deck.example' }, async (api) => {
      expect((await ask(api, 'deck.example', { lines })).status).toBe(200);
      const { detail } = expectRefused(await ask(api, FOREIGN, { lines }), 421);
      expect(detail).toBe('This service does not answer for the host evil.example: add it to ALLOWED_HOSTS.');
    });
  });

  it('on an address of the network every address may be asked for, and no other name', () =>
    withApp({ HOST: '0.0.0.0', ALLOW_ANONYMOUS: 'true' }, async (api) => {
      for (const host of ['192.0.2.8:8001', '[2001:db8::1]', '127.0.0.1', 'localhost', '3221225992']) {
        expect([host, (await ask(api, host)).status]).toEqual([host, 200]);
      }
      for (const host of [FOREIGN, '192.0.2.8.evil.example', '']) expectRefused(await ask(api, host), 421);
    }));
});
