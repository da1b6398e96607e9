import { METHODS } from 'node:http';
import { countEvents, createEvent, EVENT, expectInvalid, expectProblem, startEmptyApp } from '../support/events';
import { send } from '../support/http';
import { requestRaw, sendRaw } from '../support/raw-http';
import type { TestApp } from '../support/test-app';

/** Text that would do harm where it were not escaped. */
const SQL = ["'; DROP TABLE system_events; --", "' OR '1'='1", '") OR 1=1 --', '$1', ':id', '\\', '%', "E'\\\\x'"];

describe('errors', () => {
  let api: TestApp;
  let id: number;
  let path: string;

  beforeAll(async () => {
    api = await startEmptyApp();
    ({ id } = (await createEvent(api)).body);
    path = `/api/events/${id}`;
  });

  afterAll(() => api.close());

  describe('problem+json', () => {
    it('says what is wrong, where, and in which request', async () => {
      const answer = await send('POST', `${api.url}/api/events`, { json: { ...EVENT, severity: 'fatal' } });
      expect(expectInvalid(answer, '#/severity')).toEqual({
        type: 'about:blank',
        title: 'Unprocessable Entity',
        status: 422,
        detail: 'The request is not valid: severity must be one of info, warning, error, critical',
        instance: '/api/events',
        request_id: answer.headers.get('x-request-id'),
        errors: [{ detail: 'severity must be one of info, warning, error, critical', pointer: '#/severity' }],
      });
      expect(answer.headers.get('cache-control')).toBe('no-store');
    });

    it('names parameters as parameters', async () => {
      const answer = await send('GET', `${api.url}/api/events?limit=0`);
      expect(expectInvalid(answer, 'limit').errors).toEqual([
        { detail: 'limit must be an integer from 1 to 1000', parameter: 'limit' },
      ]);
    });

    it('does not repeat the query, which may hold secrets', async () => {
      const answer = await send('GET', `${api.url}/api/events?limit=0&source=s3cret`);
      expect(expectInvalid(answer, 'limit').instance).toBe('/api/events');
      expect(answer.text).not.toContain('s3cret');
    });

    it('does not repeat a body that is no JSON', async () => {
      const headers = { 'content-type': 'application/json' };
      const answer = await send('POST', `${api.url}/api/events`, { body: '{"password": "s3cret', headers });
      expectProblem(answer, 400);
      expect(answer.text).not.toContain('s3cret');
    });

    it('carries the request id of the caller, if it is a plain one', async () => {
      const url = `${api.url}/api/events/5000`;
      const plain = await send('GET', url, { headers: { 'x-request-id': 'trace-1:a.b_c' } });
      expect(expectProblem(plain, 404).request_id).toBe('trace-1:a.b_c');
      for (const odd of ['a b', '<script>', 'x'.repeat(129), '"']) {
        const answer = await send('GET', url, { headers: { 'x-request-id': odd } });
        expect(expectProblem(answer, 404).request_id).toMatch(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
      }
    });

    it('gives every request an id of its own', async () => {
      const answers = await Promise.all([1, 2, 3].map(() => send('GET', `${api.url}/api/events/5000`)));
      expect(new Set(answers.map((answer) => expectProblem(answer, 404).request_id)).size).toBe(3);
    });
  });

  it.each([
    ...['/api', '/api/event', '/API/events', '/api/events/1/2', '/api/events/type/a/b', '/api/events/stats/1', '/x'],
    ...['/api//events', '/.env', '/%2fetc%2fpasswd', '/api/events%00', '/api/events%2F1'],
  ])('answers 404 at %s', async (unknown) => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      const problem = expectProblem(await send(method, api.url + unknown), 404);
      expect([problem.detail, problem.instance]).toEqual(['There is nothing at this path.', unknown]);
    }
  });

  it.each([
    '/%',
    '/api/events?event_type=%ff',
    '/api/events?source=%zz',
    '/api/events/%zz',
    '/api/events/type/%ff',
    '/api/events/type/%ed%a0%80',
    '/api/events/%c0%af',
  ])('answers 400 at %s, which is no UTF-8 or not encoded as a URL', async (broken) => {
    expect(expectProblem(await send('GET', api.url + broken), 400).instance).toBe(broken.split('?')[0]);
  });

  describe.each<[string, () => string, string, string[]]>([
    ['/', () => '/', 'GET, HEAD', ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']],
    ['/api/events', () => '/api/events', 'DELETE, GET, HEAD, POST', ['PUT', 'PATCH', 'OPTIONS']],
    ['/api/events/stats', () => '/api/events/stats', 'GET, HEAD', ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']],
    ['/api/events/type/x', () => '/api/events/type/x', 'GET, HEAD', ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']],
    ['/api/events/{id}', () => path, 'DELETE, GET, HEAD, PATCH, PUT', ['POST', 'OPTIONS']],
    ['/api/events/abc', () => '/api/events/abc', 'DELETE, GET, HEAD, PATCH, PUT', ['POST', 'OPTIONS']],
  ])('%s', (_name, place, allow, methods) => {
    it.each(methods)('answers 405 to %s', async (method) => {
      for (const ending of ['', '/', '?x=1']) {
        const url = api.url + place() + (place() === '/' && ending === '/' ? '' : ending);
        const attempts = [
          send(method, url),
          send(method, url, { json: EVENT }),
          send(method, url, { body: 'x', headers: { 'content-type': 'text/plain' } }),
          send(method, url, { body: '{', headers: { 'content-type': 'application/json' } }),
        ];
        for (const answer of await Promise.all(attempts)) {
          expect(expectProblem(answer, 405).detail).toBe(`Only ${allow} is possible here.`);
          expect(answer.headers.get('allow')).toBe(allow);
        }
      }
      expect(await countEvents(api)).toBe(1);
    });
  });

  it.each([
    ['/api/events', 'DELETE, GET, HEAD, POST'],
    ['/api/events/batch', 'DELETE, GET, HEAD, PATCH, POST, PUT'],
    ['/api/events/5', 'DELETE, GET, HEAD, PATCH, PUT'],
    ['/docs', 'GET, HEAD'],
    ['/openapi.json', 'GET, HEAD'],
    ['/health/live', 'GET, HEAD'],
  ])('answers 405 at %s to every other method that there is', async (place, allow) => {
    const others = METHODS.filter((method) => method !== 'CONNECT' && !allow.split(', ').includes(method));
    expect(others).toEqual(
      expect.arrayContaining(['PROPFIND', 'MKCOL', 'LOCK', 'REPORT', 'PURGE', 'M-SEARCH', 'TRACE']),
    );
    for (const method of others) {
      const { status, headers, body } = await requestRaw(api.url, method, place);
      expect([method, status]).toEqual([method, 405]);
      expect(headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(allow.split(', ')).toEqual(expect.arrayContaining(headers.allow?.split(', ') ?? ['none']));
      expect(JSON.parse(body)).toMatchObject({ status: 405, title: 'Method Not Allowed', instance: place });
      expect((await requestRaw(api.url, method, '/nothing/here')).status).toBe(404);
    }
  });

  it.each(['x', '200-ok', 'x=100'])('answers 417 to Expect: %s, and stores nothing', async (expectation) => {
    const body = JSON.stringify(EVENT);
    const lines = [`Expect: ${expectation}`, 'Content-Type: application/json', `Content-Length: ${body.length}`];
    const head = ['POST /api/events HTTP/1.1', 'Host: localhost', 'Connection: close', ...lines].join('\r\n');
    const answer = await sendRaw(api.url, `${head}\r\n\r\n${body}`);
    expect([answer.status, answer.headers['content-type']]).toEqual([417, 'application/problem+json; charset=utf-8']);
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
    expect(JSON.parse(answer.body)).toMatchObject({
      status: 417,
      title: 'Expectation Failed',
      instance: '/api/events',
      request_id: answer.headers['x-request-id'],
    });
    expect(await countEvents(api)).toBe(1);
  });

  it.each([
    ['GET', '/api/events'],
    ['GET', '/api/events/stats'],
    ['GET', '/api/events/type/deployment'],
    ['POST', '/api/events'],
    ['GET', '/api/events/{id}'],
    ['PUT', '/api/events/{id}'],
    ['PATCH', '/api/events/{id}'],
    ['DELETE', '/api/events/{id}'],
  ])('answers 422 to an unknown or empty parameter: %s %s', async (method, template) => {
    const url = api.url + template.replace('{id}', String(id));
    const json = { POST: EVENT, PUT: {}, PATCH: {} }[method];
    for (const name of ['colour', 'Limit', 'limit[]', '__proto__', 'constructor', 'valueOf', 'é']) {
      for (const value of ['=1', '=', '']) {
        expectInvalid(await send(method, `${url}?${encodeURIComponent(name)}${value}`, { json }), name);
      }
    }
    expectInvalid(await send(method, `${url}?a=1&b=2`, { json }), 'a', 'b');
    expect(await countEvents(api)).toBe(1);
  });

  it.each([
    ['POST', '/api/events', '/api/events'],
    ['PUT', '/api/events/{id}', '/api/events/{id}'],
    ['PATCH', '/api/events/{id}', '/api/events/{id}'],
  ])('answers 400 to %s %s without a body', async (method, template) => {
    const url = api.url + template.replace('{id}', String(id));
    expectProblem(await send(method, url), 400);
    expectProblem(await send(method, url, { headers: { 'content-type': 'application/json' } }), 400);
    expect(await countEvents(api)).toBe(1);
  });

  it('takes SQL for text, wherever it stands', async () => {
    for (const text of SQL) {
      const encoded = encodeURIComponent(text);
      for (const name of ['limit', 'offset', 'severity']) {
        expectInvalid(await send('GET', `${api.url}/api/events?${name}=${encoded}`), name);
      }
      expectInvalid(await send('GET', `${api.url}/api/events?${encoded}=1`), text);
      expectInvalid(await send('GET', `${api.url}/api/events/1${encoded}`), 'id');
      expect((await send('GET', `${api.url}/api/events/type/${encoded}`)).body).toEqual([]);
      expect((await send('GET', `${api.url}/api/events?event_type=${encoded}&source=${encoded}`)).body).toEqual([]);
      const headers = { 'if-match': text, 'if-none-match': text };
      expectProblem(await send('DELETE', api.url + path, { headers }), 412);
      expect((await send('GET', api.url + path, { headers })).status).toBe(200);
      const fields = { event_type: text, message: text, source: text, details: { [text]: [text] } };
      const { body } = await createEvent(api, fields);
      expect(body).toMatchObject(fields);
      const url = `${api.url}/api/events/${body.id}`;
      expect((await send('PUT', url, { json: fields })).body).toMatchObject(fields);
      expect((await send('DELETE', url)).status).toBe(204);
    }
    expect(await countEvents(api)).toBe(1);
  });
});
