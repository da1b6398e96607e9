import { gzipSync } from 'node:zlib';
import { countEvents, EVENT, startEmptyApp, type ProblemBody } from '../support/events';
import { send } from '../support/http';
import { sendRaw } from '../support/raw-http';
import { until } from '../support/services';
import type { TestApp } from '../support/test-app';

const BODY = JSON.stringify(EVENT);
const JSON_TYPE = 'Content-Type: application/json';

/** The head of a request, closing the connection after the answer, with these lines and then a body as it stands. */
function http(line: string, lines: string[] = [], body: string | Uint8Array = ''): Buffer {
  const head = [`${line} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...lines].join('\r\n');
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), Buffer.from(body)]);
}

const post = (lines: string[], body: string | Uint8Array = BODY): Buffer =>
  http('POST /api/events', [JSON_TYPE, ...lines], body);
const chunked = (body: string): Buffer => post(['Transfer-Encoding: chunked'], body);
const whole = (path: string, body: string | Uint8Array, lines: string[] = [JSON_TYPE]): Buffer =>
  http(`POST ${path}`, [...lines, `Content-Length: ${body.length}`], body);

const BOMB = gzipSync(Buffer.alloc(32 * 1024 * 1024));
const NESTED = '['.repeat(200_000) + ']'.repeat(200_000);

const REFUSED: [status: number, what: string, bytes: Buffer][] = [
  [400, 'chunks and a length', post(['Transfer-Encoding: chunked', 'Content-Length: 5'], '0\r\n\r\n')],
  [400, 'a length twice in one line', post([`Content-Length: ${BODY.length}, ${BODY.length}`])],
  [400, 'a transfer coding after chunked', post(['Transfer-Encoding: chunked, identity'], '0\r\n\r\n')],
  [400, 'an unknown transfer coding', post(['Transfer-Encoding: xchunked'], '0\r\n\r\n')],
  [400, 'a space before the colon', post([`Content-Length : ${BODY.length}`])],
  [400, 'lines that end in LF', Buffer.from(`POST /api/events HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n`)],
  [400, 'a CR inside a line', http('GET /health/live', ['X-A: a\rX-B: b'])],
  [400, 'a NUL in the request line', http('GET /health/live\0')],
  [400, 'a NUL in a header', http('GET /health/live', ['X-A: a\0b'])],
  [400, 'a NUL in the name of a header', http('GET /health/live', ['X\0A: b'])],
  [400, 'a space in the path', http('GET /health/ live')],
  [400, 'a method that there is not', http('GETT /health/live')],
  [400, 'a method in small letters', http('get /health/live')],
  [400, 'a version that there is not', Buffer.from('GET /health/live HTTP/9.9\r\nHost: localhost\r\n\r\n')],
  [400, 'the start of HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
  [400, 'the start of TLS', Buffer.from([0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x03])],
  [400, 'a length below nothing', post(['Content-Length: -1'])],
  [400, 'a length with a sign', post([`Content-Length: +${BODY.length}`])],
  [400, 'a length in hexadecimal', post(['Content-Length: 0x10'])],
  [400, 'no length in Content-Length', post(['Content-Length:'])],
  [400, 'a length beyond all integers', post(['Content-Length: 99999999999999999999999999'])],
  [413, 'a length of a terabyte', post(['Content-Length: 1099511627776'])],
  [
    413,
    'a length of a terabyte in a batch',
    http('POST /api/events/batch', [JSON_TYPE, 'Content-Length: 1099511627776']),
  ],
  [400, 'the size of a chunk is no number', chunked(`zz\r\n${BODY}\r\n0\r\n\r\n`)],
  [400, 'the size of a chunk is below nothing', chunked(`-1\r\n${BODY}\r\n0\r\n\r\n`)],
  [400, 'the size of a chunk is beyond all integers', chunked(`FFFFFFFFFFFFFFFFFFFF\r\n${BODY}\r\n0\r\n\r\n`)],
  [400, 'a chunk is longer than its size', chunked(`1\r\n${BODY}\r\n0\r\n\r\n`)],
  [400, 'a chunk size with a space in front', chunked(` ${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`)],
  [400, 'a chunk extension of 32 KiB', chunked(`1;${'x'.repeat(32_768)}\r\n{\r\n0\r\n\r\n`)],
  [415, 'a gzip bomb', whole('/api/events', BOMB, [JSON_TYPE, 'Content-Encoding: gzip'])],
  [415, 'a gzip bomb as a batch', whole('/api/events/batch', BOMB, [JSON_TYPE, 'Content-Encoding: gzip'])],
  [
    415,
    'a gzip bomb as a file',
    whole('/api/events/import', BOMB, ['Content-Type: text/csv', 'Content-Encoding: gzip']),
  ],
  [422, '200,000 nested arrays', whole('/api/events', NESTED)],
  [422, '200,000 nested arrays in an atomic batch', whole('/api/events/batch?atomic=true', NESTED)],
  [400, 'bytes that are no UTF-8 in the path', http('GET /api/events/type/\xff')],
  [404, 'a path of 15 KiB', http(`GET /${'x/'.repeat(7500)}`)],
  [405, 'a method of WebDAV', http('PROPFIND /api/events')],
  [404, 'an asterisk', http('OPTIONS *')],
  [404, 'a type that is none to a path that is none', whole('/nothing', BODY, ['Content-Type: nonsense'])],
];

const CUT_OFF: [what: string, bytes: Buffer][] = [
  ['in the request line', Buffer.from('POST /api/ev')],
  ['in the head', Buffer.from('POST /api/events HTTP/1.1\r\nHost: lo')],
  ['before the body', post([`Content-Length: ${BODY.length}`], '')],
  ['in the body', post([`Content-Length: ${BODY.length + 1}`])],
  ['in a chunk', chunked(`ff\r\n${BODY}`)],
  ['before the last chunk', chunked(`${BODY.length.toString(16)}\r\n${BODY}\r\n`)],
  ['in a batch', http('POST /api/events/batch', [JSON_TYPE, 'Content-Length: 9999'], `[${BODY},`)],
];

describe('raw bytes', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterAll(() => api.close());

  async function expectAliveAndEmpty(): Promise<void> {
    expect((await send('GET', `${api.url}/health/live`)).status).toBe(200);
    expect(await countEvents(api)).toBe(0);
  }

  async function statementsUnderWay(): Promise<number> {
    const rows = await api.sql(
      `SELECT FROM pg_stat_activity
       WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()`,
    );
    return rows.length;
  }

  it.each(REFUSED)('are answered %i: %s', async (status, _what, bytes) => {
    const answer = await sendRaw(api.url, bytes);
    expect([answer.status, answer.body]).toEqual([status, expect.any(String)]);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json(;|$)/);
    expect(JSON.parse(answer.body) as ProblemBody).toMatchObject({ type: 'about:blank', status });
    await expectAliveAndEmpty();
  });

  it.each(CUT_OFF)('that end too early store nothing: %s', async (_what, bytes) => {
    const answer = await sendRaw(api.url, bytes, { end: true });
    expect([answer.status, answer.body]).toEqual([400, expect.stringContaining('"status":400')]);
    await expectAliveAndEmpty();
  });

  it.each([
    [400, 'no Host', Buffer.from('GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n')],
    [417, 'an expectation that nobody meets', http('GET /health/live', ['Expect: nonsense'])],
  ])('are answered %i by Node itself, without a problem: %s', async (status, _what, bytes) => {
    expect((await sendRaw(api.url, bytes)).status).toBe(status);
  });

  it('of HTTP/1.0 are answered and the connection closed', async () => {
    const answer = await sendRaw(api.url, Buffer.from('GET /health/live HTTP/1.0\r\n\r\n'));
    expect([answer.status, answer.headers.connection]).toEqual([200, 'close']);
  });

  it('that are pipelined are answered in their order', async () => {
    const heads = ['/health/live', '/nothing', '/api/events'].map(
      (path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n`,
    );
    const { status, body } = await sendRaw(api.url, `${heads.join('\r\n')}Connection: close\r\n\r\n`);
    const others = Array.from(body.matchAll(/HTTP\/1\.1 (\d{3})/g), ([, next]) => Number(next));
    expect([status, ...others]).toEqual([200, 404, 200]);
  });

  it('that are no HTTP are not the answer to the request in front of them', async () => {
    const good = `POST /api/events HTTP/1.1\r\nHost: localhost\r\n${JSON_TYPE}\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
    const { status } = await sendRaw(api.url, `${good}hello?\r\n\r\n`);
    await until(async () => (await statementsUnderWay()) === 0, 'nothing is being stored');
    const stored = await api.sql('DELETE FROM system_events RETURNING id');
    // An answer that is lost says nothing; a 400 says that nothing is stored.
    expect([
      [201, 1],
      [400, 0],
      [NaN, 0],
      [NaN, 1],
    ]).toContainEqual([status, stored.length]);
    await expectAliveAndEmpty();
  });

  it('after a refused body are not taken for a request', async () => {
    const smuggled = `POST /api/events HTTP/1.1\r\nHost: localhost\r\n${JSON_TYPE}\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
    const refused = `POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: ${smuggled.length}\r\n\r\n`;
    const { status, body } = await sendRaw(api.url, refused + smuggled + http('GET /health/live').toString());
    const others = Array.from(body.matchAll(/HTTP\/1\.1 (\d{3})/g), ([, next]) => Number(next));
    expect([status, ...others]).toEqual([415, 200]);
    await expectAliveAndEmpty();
  });
});
