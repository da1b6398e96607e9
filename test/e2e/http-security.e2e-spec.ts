import { EVENT, expectProblem, startEmptyApp, type ProblemBody } from '../support/events';
import { send } from '../support/http';
import { requestRaw, sendRaw } from '../support/raw-http';
import { startApp, type TestApp } from '../support/test-app';

const TOKEN = 'correct-horse-battery-staple';
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

describe('every answer', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp({ API_TOKEN: TOKEN });
  });

  afterAll(() => api.close());

  it.each([
    [200, 'GET', '/api/events', bearer(TOKEN)],
    [200, 'GET', '/health', {}],
    [200, 'GET', '/docs', {}],
    [400, 'GET', '/%zz', bearer(TOKEN)],
    [400, 'GET', '/docs/%zz', bearer(TOKEN)],
    [401, 'GET', '/api/events', {}],
    [404, 'GET', '/api/events/999', bearer(TOKEN)],
    [404, 'GET', '/nothing/here', bearer(TOKEN)],
    [405, 'PATCH', '/api/events', bearer(TOKEN)],
    [415, 'POST', '/api/events', { ...bearer(TOKEN), 'content-type': 'text/plain' }],
    [422, 'GET', '/api/events?limit=0', bearer(TOKEN)],
  ])('has the security headers: %i to %s %s', async (status, method, path, headers) => {
    const answer = await send(method, api.url + path, { headers, ...(status === 415 && { body: 'text' }) });
    expect(answer.status).toBe(status);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-security-policy': expect.stringContaining("default-src 'none'") as string,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'SAMEORIGIN',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'x-request-id': expect.stringMatching(/./) as string,
    });
    expect(answer.headers.get('content-security-policy')).not.toContain('upgrade-insecure-requests');
    expect(answer.headers.has('x-powered-by')).toBe(false);
    expect(answer.headers.has('strict-transport-security')).toBe(false);
    expect(answer.headers.has('access-control-allow-origin')).toBe(false);
    if (status >= 400) expectProblem(answer, status);
  });

  it('asks browsers for TLS from now on where a trusted proxy speaks it, for its own host only', async () => {
    const policyOf = async (url: string, protocol: string): Promise<(string | null)[]> => {
      const headers = { ...bearer(TOKEN), 'x-forwarded-proto': protocol };
      const answers = ['/api/events', '/docs', '/nothing', '/%zz'].map((path) => send('GET', url + path, { headers }));
      return (await Promise.all(answers)).map((answer) => answer.headers.get('strict-transport-security'));
    };
    const nowhere = [null, null, null, null];
    // Nobody is trusted, so anybody could have said so.
    expect(await policyOf(api.url, 'https')).toEqual(nowhere);
    const behind = await startApp({ API_TOKEN: TOKEN, TRUST_PROXY: 'loopback' });
    try {
      expect(await policyOf(behind.url, 'https')).toEqual(nowhere.map(() => 'max-age=31536000'));
      expect(await policyOf(behind.url, 'http')).toEqual(nowhere);
    } finally {
      await behind.close();
    }
  });

  it('carries the request id of the caller when that is a plain token, else one of its own', async () => {
    const idFor = async (headers: Record<string, string>): Promise<string | null> =>
      (await send('GET', `${api.url}/health/live`, { headers })).headers.get('x-request-id');
    for (const id of ['abc-123', 'A.b:c_d-9', 'x'.repeat(128)]) expect(await idFor({ 'x-request-id': id })).toBe(id);
    for (const id of ['', 'two words', '<script>', 'x'.repeat(129), '\u00fc']) {
      expect(await idFor({ 'x-request-id': id })).toMatch(/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/);
    }
    const [first, second] = [await idFor({}), await idFor({})];
    expect(first).not.toBe(second);
    const refused = await send<ProblemBody>('GET', `${api.url}/api/events`, { headers: { 'x-request-id': 'mine' } });
    expect(refused.body.request_id).toBe('mine');
  });

  it('is compressed when it is large and the caller can read that', async () => {
    const list = (encoding: string): ReturnType<typeof send> =>
      send('GET', `${api.url}/api/events`, { headers: { ...bearer(TOKEN), 'accept-encoding': encoding } });
    await send('POST', `${api.url}/api/events`, {
      headers: bearer(TOKEN),
      json: { ...EVENT, message: 'long '.repeat(1000) },
    });
    const plain = await list('identity');
    expect(plain.headers.has('content-encoding')).toBe(false);
    for (const encoding of ['gzip', 'br']) {
      const compressed = await list(encoding);
      expect(compressed.headers.get('content-encoding')).toBe(encoding);
      expect(compressed.headers.get('vary')).toMatch(/accept-encoding/i);
      expect(compressed.text).toBe(plain.text);
    }
    const small = await send('GET', `${api.url}/health/live`, { headers: { 'accept-encoding': 'gzip' } });
    expect(small.headers.has('content-encoding')).toBe(false);
  });

  it.each([
    [
      431,
      'headers larger than 16 KiB',
      `GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`,
    ],
    [431, 'a path larger than 16 KiB', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
    [400, 'what is no HTTP', 'hello?\r\n\r\n'],
    [
      400,
      'two lengths',
      'POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    ],
    [
      400,
      'a length and chunks',
      'POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('is problem+json even where there is no request: %i to %s', async (status, _what, text) => {
    const answer = await sendRaw(api.url, text);
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/problem+json', connection: 'close' });
    const body = JSON.parse(answer.body) as ProblemBody;
    expect(body).toMatchObject({ type: 'about:blank', status });
    expect(body.detail).not.toMatch(/HPE_|Parse Error/);
  });
});

describe('with API_TOKEN', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp({ API_TOKEN: TOKEN });
    const stored = await send('POST', `${api.url}/api/events`, {
      headers: bearer(TOKEN),
      json: { ...EVENT, message: 'for friends only' },
    });
    expect(stored.status).toBe(201);
  });

  afterAll(() => api.close());

  it.each([
    ['GET', '/api/events'],
    ['HEAD', '/api/events'],
    ['POST', '/api/events'],
    ['GET', '/api/events/'],
    ['GET', '/api/events/1'],
    ['PUT', '/api/events/1'],
    ['PATCH', '/api/events/1'],
    ['DELETE', '/api/events/1'],
    ['GET', '/api/events/stats'],
    ['GET', '/api/events/type/deployment'],
    ['GET', '/api/db/health'],
    ['GET', '/api/health/database'],
    ['GET', '/api/health/database/'],
    ['GET', '/api/health/nothing'],
    ['GET', '/nothing/here'],
    ['GET', '/%zz'],
    ['GET', '/docs/%zz'],
    ['GET', '/healthy'],
    ['PUT', '/api/events'],
  ])('%s %s wants the token', async (method, path) => {
    const answer = await send(method, api.url + path);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    if (method !== 'HEAD') expectProblem(answer, 401);
  });

  it.each([
    ['another token', bearer(`${TOKEN}!`)],
    ['a part of it', bearer(TOKEN.slice(0, -1))],
    ['no token', { authorization: 'Bearer' }],
    ['an empty token', { authorization: 'Bearer  ' }],
    ['another scheme', { authorization: `Basic ${Buffer.from(`deck:${TOKEN}`).toString('base64')}` }],
    ['no scheme', { authorization: TOKEN }],
    ['two tokens', { authorization: `Bearer ${TOKEN} ${TOKEN}` }],
    ['a token elsewhere', { 'x-api-key': TOKEN, cookie: `token=${TOKEN}` }],
  ])('refuses %s', async (_what, headers) => {
    expectProblem(await send('GET', `${api.url}/api/events?access_token=${TOKEN}`, { headers }), 401);
  });

  it('lets the token in, the scheme in any case', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      const answer = await send('GET', `${api.url}/api/events`, { headers: { authorization: `${scheme} ${TOKEN}` } });
      expect(answer.status).toBe(200);
    }
  });

  it.each([
    '/',
    '/health',
    '/health/',
    '/health/live',
    '/health/ready',
    '/api/health',
    '/api/health/',
    '/api/health?probe',
    '/docs',
  ])('%s is open', async (path) => {
    expect((await send('GET', api.url + path)).status).toBe(200);
  });

  it.each(['/api/docs', '/api/docs/', '/openapi.json', '/openapi.json/', '/docs/', '/redoc'])(
    '%s asks nobody',
    async (path) => {
      expect((await send('GET', api.url + path)).status).not.toBe(401);
    },
  );

  it.each([
    '//api/events',
    '///api//events',
    '/health/../api/events',
    '/health/..%2fapi/events',
    '/health/%2e%2e/api/events',
    '/docs/..%2fapi/events',
    '/docs/../api/events',
    '/docs/..;/api/events',
    '/redoc/../api/events',
    '/openapi.json/../api/events',
    '/./api/events',
    '/%2e/api/events',
    '/%61pi/events',
    '/api%2fevents',
    '/API/EVENTS',
    '/Api/Events',
    '/api/events;/health',
    '/api/events%3f/health',
    '/api/events#/health',
    '/api/events?/health',
    '/health?/../api/events',
    '/health#/../api/events',
    '/health%00/../api/events',
    'http://deck/api/events',
    'http://deck/health/../api/events',
    '\\api\\events',
  ])('nobody gets past it by %s', async (target) => {
    for (const method of ['GET', 'DELETE']) {
      const answer = await requestRaw(api.url, method, target);
      expect([200, 400, 401, 404, 405, 503]).toContain(answer.status);
      expect(answer.body).not.toContain('friends');
      if (!/^\/(health[?#]|docs)/.test(target)) expect(answer.status).not.toBe(200);
    }
    expect(await api.sql(`SELECT FROM system_events WHERE message = 'for friends only'`)).toHaveLength(1);
  });
});

describe('across origins', () => {
  const origin = 'https://deck.example';
  const preflight = {
    origin,
    'access-control-request-method': 'PUT',
    'access-control-request-headers': 'content-type,if-match,authorization',
  };

  async function withApp(variables: Record<string, string>, work: (api: TestApp) => Promise<void>): Promise<void> {
    const api = await startApp(variables);
    await work(api).finally(() => api.close());
  }

  it('nothing is allowed unless CORS_ORIGINS says so', () =>
    withApp({}, async (api) => {
      const read = await send('GET', `${api.url}/api/events`, { headers: { origin } });
      const asked = await send('OPTIONS', `${api.url}/api/events/1`, { headers: preflight });
      for (const { headers } of [read, asked]) {
        expect([...headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
      }
    }));

  it('the origins of CORS_ORIGINS are allowed, also to ask without a token', () =>
    withApp({ CORS_ORIGINS: `${origin}, https://other.example`, API_TOKEN: TOKEN }, async (api) => {
      const asked = await send('OPTIONS', `${api.url}/api/events/1`, { headers: preflight });
      expect(asked.status).toBe(204);
      expect(asked.headers.get('access-control-allow-origin')).toBe(origin);
      expect(asked.headers.get('access-control-allow-headers')).toBe(preflight['access-control-request-headers']);
      expect(asked.headers.get('access-control-allow-methods')?.split(/, ?/).sort()).toEqual([
        'DELETE',
        'GET',
        'HEAD',
        'PATCH',
        'POST',
        'PUT',
      ]);
      for (const headers of [{ origin, ...bearer(TOKEN) }, { origin }]) {
        const answer = await send('GET', `${api.url}/api/events`, { headers });
        expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
        expect(answer.headers.get('vary')).toMatch(/origin/i);
        expect(answer.headers.get('access-control-expose-headers')).toBe(
          'Link, ETag, Location, Retry-After, X-Request-Id, X-Total-Count, Idempotent-Replayed',
        );
      }
      // What is no preflight is answered like one, and an unknown path stays unknown.
      expect((await send('OPTIONS', `${api.url}/api/events/1`)).status).toBe(204);
      expect((await send('GET', `${api.url}/nothing`, { headers: bearer(TOKEN) })).status).toBe(404);
      const stranger = await send('OPTIONS', `${api.url}/api/events/1`, {
        headers: { ...preflight, origin: 'https://deck.example.evil' },
      });
      expect(stranger.headers.get('access-control-allow-origin')).not.toBe('https://deck.example.evil');
    }));

  it('every origin is allowed by *', () =>
    withApp({ CORS_ORIGINS: '*' }, async (api) => {
      const answer = await send('GET', `${api.url}/api/events`, { headers: { origin } });
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    }));
});
