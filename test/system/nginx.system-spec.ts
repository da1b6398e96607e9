import { linesWith, useProcesses, type ApiProcess } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { EVENT } from '../support/events';
import { freeze } from '../support/process-list';
import { useStops } from '../support/stops';
import { startNginx, type Nginx } from './support/nginx';
import { sendOverTls, type TlsRequest, type TlsResponse } from './support/tls-client';

const MIB = 1024 * 1024;

/** What nginx lets through of anything but a file. */
const MAX_BODY = 16 * MIB;

const EVENTS = 1100;
const TEXT = 'x'.repeat(20_000);

const NDJSON = { 'content-type': 'application/x-ndjson' };
const JSON_TYPE = { 'content-type': 'application/json' };

/** 22 MB of events of one source. */
function fileOf(source: string): Buffer {
  const lines = Array.from({ length: EVENTS }, (_, index) =>
    JSON.stringify({ ...EVENT, source, message: `number ${index}`, details: { text: TEXT } }),
  );
  return Buffer.from(`${lines.join('\n')}\n`);
}

/** A batch of one event, filled up with spaces. */
function batchOf(bytes: number, source: string): Buffer {
  return Buffer.from(`[${JSON.stringify({ ...EVENT, source })}]`.padStart(bytes, ' '));
}

describe('nginx with docker/nginx/locations.conf', () => {
  const stops = useStops();
  const launch = useProcesses();
  const createDatabase = useDatabases();
  let databaseUrl: string;
  let api: ApiProcess;
  let nginx: Nginx;

  beforeEach(async () => {
    databaseUrl = (await createDatabase()).url;
    const variables = { DATABASE_URL: databaseUrl, CACHE: 'memory', TRUST_PROXY: '127.0.0.1', LOG_LEVEL: 'debug' };
    api = await launch(variables).listening();
    nginx = await startNginx(api.url);
    stops.push(() => nginx.stop());
  });

  const send = (method: string, target: string, request?: TlsRequest): Promise<TlsResponse> =>
    sendOverTls(nginx.certificate, method, nginx.url + target, request);

  const sendImpatiently = (method: string, target: string, request?: TlsRequest): Promise<TlsResponse> =>
    sendOverTls(nginx.certificate, method, nginx.impatientUrl + target, request);

  async function countOf(source: string): Promise<number | undefined> {
    const sql = 'SELECT count(*)::int AS count FROM system_events WHERE source = $1';
    return (await query<{ count: number }>(databaseUrl, sql, [source]))[0]?.count;
  }

  it.each([
    ['with a length', '/api/events/import', false],
    ['in chunks', '/api/events/import/', true],
  ])('lets a file of any size through, %s, and back again', async (_how, target, chunked) => {
    const body = fileOf('file');
    expect(body.length).toBeGreaterThan(21e6);
    const imported = await send('POST', target, { headers: NDJSON, body, chunked });
    expect([imported.status, JSON.parse(imported.text)]).toEqual([200, { imported: EVENTS, rejected: 0, errors: [] }]);
    expect(await countOf('file')).toBe(EVENTS);

    const slash = target.endsWith('/') ? '/' : '';
    const exported = await send('GET', `/api/events/export${slash}?source=file`);
    expect(exported.status).toBe(200);
    const events = exported.text.trimEnd().split('\n');
    expect(events.map((line) => (JSON.parse(line) as { message: string }).message).sort()).toEqual(
      Array.from({ length: EVENTS }, (_, index) => `number ${index}`).sort(),
    );
    expect(exported.text.length).toBeGreaterThan(21e6);

    const deleted = await send('DELETE', `/api/events${slash}?source=file`);
    expect([deleted.status, JSON.parse(deleted.text)]).toEqual([200, { deleted: EVENTS }]);
    expect(await countOf('file')).toBe(0);
  });

  it.each([
    ['with a length', false],
    ['in chunks', true],
  ])('takes anything else up to the limit of a batch, %s', async (_how, chunked) => {
    const headers = { ...JSON_TYPE, 'x-request-id': 'too-large:1' };
    const taken = await send('POST', '/api/events/batch', { headers, body: batchOf(MAX_BODY, 'batch'), chunked });
    expect([taken.status, taken.text]).toEqual([200, expect.stringContaining('"accepted":1')]);

    const refused = await send('POST', '/api/events/batch', { headers, body: batchOf(MAX_BODY + 1, 'batch'), chunked });
    expectOwnProblem(refused, 413, 'too-large:1');
    expect(await countOf('batch')).toBe(1);
  });

  it('passes on what the API says before it has read a file', async () => {
    const refused = await send('POST', '/api/events/import', {
      headers: { 'content-type': 'text/plain' },
      body: fileOf('x'),
    });
    expect([refused.status, JSON.parse(refused.text)]).toEqual([415, expect.objectContaining({ status: 415 })]);
  });

  it('waits longer for files and bulk deletions than for anything else', async () => {
    await send('POST', '/api/events/import', { headers: NDJSON, body: fileOf('old') });
    // Stopped in its tracks the service takes no bytes and gives none.
    const thaw = freeze([api.child.pid ?? 0]);
    stops.unshift(thaw);
    const one = Buffer.from(JSON.stringify({ ...EVENT, source: 'small' }));
    const patient = [
      sendImpatiently('POST', '/api/events/import', { headers: NDJSON, body: fileOf('large') }),
      sendImpatiently('POST', '/api/events/import/', { headers: NDJSON, body: one }),
      sendImpatiently('GET', '/api/events/export?source=old'),
      sendImpatiently('DELETE', '/api/events?source=other&dry_run=true'),
      sendImpatiently('DELETE', '/api/events/?source=other'),
    ];
    // Twice one after the other: what came before them has then waited longer than such a request may.
    for (let round = 0; round < 2; round++) {
      const read = await sendImpatiently('GET', '/api/events/stats', { headers: { 'x-request-id': 'too-long:1' } });
      expectOwnProblem(read, 503, 'too-long:1');
      expect(read.headers['retry-after']).toBe('5');
      const sent = await sendImpatiently('POST', '/api/events/batch', {
        headers: { ...JSON_TYPE, 'x-request-id': 'too-long:2' },
        body: batchOf(MAX_BODY, 'never'),
      });
      expectOwnProblem(sent, 503, 'too-long:2');
    }
    thaw();
    const responses = await Promise.all(patient);
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(await countOf('large')).toBe(EVENTS);
    expect(await countOf('small')).toBe(1);
    expect(responses[2]?.text.trimEnd().split('\n')).toHaveLength(EVENTS);
  });

  it('passes on who calls and the id of the request, and believes no caller about the former', async () => {
    const claimed = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-request-id': 'a-b_c.1:2' };
    const kept = await send('GET', '/api/events?limit=1', { headers: claimed, from: '127.0.0.2' });
    expect([kept.status, kept.headers['x-request-id']]).toEqual([200, 'a-b_c.1:2']);
    const replaced = await send('GET', '/nothing', { headers: { 'x-request-id': 'not "plain"' } });
    expect(JSON.parse(replaced.text)).toMatchObject({
      status: 404,
      instance: '/nothing',
      request_id: replaced.headers['x-request-id'],
    });
    expect(replaced.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
    const [logged = '{}'] = linesWith(api, '"request_id":"a-b_c.1:2"').filter((line) =>
      line.includes('"msg":"request"'),
    );
    expect(JSON.parse(logged)).toMatchObject({ path: '/api/events', address: '127.0.0.2' });
  });

  it('says in the words of the API that it is away', async () => {
    await api.stop();
    const away = await send('GET', '/api/events', { headers: { 'x-request-id': 'away:1' } });
    expectOwnProblem(away, 503, 'away:1');
    expect(away.headers['retry-after']).toBe('5');
  });
});

/** Expects a problem of nginx's own, which lacks only the path. */
function expectOwnProblem({ status, headers, text }: TlsResponse, expected: number, id: string): void {
  expect([status, headers['content-type'], headers['x-request-id']]).toEqual([
    expected,
    'application/problem+json',
    id,
  ]);
  expect(JSON.parse(text)).toEqual({
    type: 'about:blank',
    title: expected === 413 ? 'Payload Too Large' : 'Service Unavailable',
    status: expected,
    detail: expect.stringMatching(/\w/) as string,
    request_id: id,
  });
}
