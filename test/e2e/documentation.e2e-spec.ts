import type { OpenAPIObject, ReferenceObject, ResponseObject, SchemaObject } from '@nestjs/swagger';
import { send } from '../support/http';
import { requestRaw, type RawAnswer } from '../support/raw-http';
import { startApp, type TestApp } from '../support/test-app';

/** Where a proxy may show the service, cutting this off before it asks. */
const PREFIX = '/tools/eventdeck';

const PROBLEM = 'application/problem+json; charset=utf-8';

const PAGES = ['/docs', '/docs/', '/api/docs', '/api/docs/', '/redoc', '/redoc/'];

/** Everything that a page loads or links to, as it stands there. */
function referencesOf(html: string): string[] {
  return Array.from(html.matchAll(/(?:src|href|spec-url|data-document)="([^"]*)"/g), ([, reference = '']) => reference);
}

describe('the documentation', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startApp({ API_TOKEN: 'the-token-of-this-test', CORS_ORIGINS: 'https://deck.example' });
  });

  afterAll(() => api.close());

  describe.each(PAGES)('%s', (page) => {
    it('is HTML without a script of its own, for everybody', async () => {
      const { status, headers, text } = await send('GET', `${api.url}${page}`);
      expect(status).toBe(200);
      expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(text).not.toMatch(/<script>|<script [^>]*>[^<]|\son\w+=/);
    });

    it('refers to nothing by an absolute path or another host', async () => {
      const references = referencesOf((await send('GET', `${api.url}${page}`)).text);
      expect(references.length).toBeGreaterThan(2);
      expect(references.filter((reference) => /^(\/|[a-z][a-z0-9+.-]*:)/i.test(reference))).toEqual([]);
    });

    it('refers to what is there, below a path prefix too', async () => {
      const types = {
        css: /^text\/css/,
        js: /^(text|application)\/javascript/,
        json: /^application\/json/,
        svg: /^image/,
      };
      for (const reference of referencesOf((await send('GET', `${api.url}${page}`)).text)) {
        const { pathname } = new URL(reference, `${api.url}${PREFIX}${page}`);
        expect(pathname.startsWith(`${PREFIX}/`)).toBe(true);
        const { status, headers, text } = await send('GET', `${api.url}${pathname.slice(PREFIX.length)}`);
        expect([reference, status]).toEqual([reference, 200]);
        const type = types[reference.slice(reference.lastIndexOf('.') + 1) as keyof typeof types];
        expect(headers.get('content-type')).toMatch(type);
        expect(text.length).toBeGreaterThan(100);
      }
    });

    it('answers 405 to other methods', async () => {
      const { status, headers } = await send('POST', `${api.url}${page}`);
      expect(status).toBe(405);
      expect(headers.get('allow')).toBe('GET, HEAD');
    });
  });

  it('is under a strict Content-Security-Policy that works on plain HTTP', async () => {
    const { headers } = await send('GET', `${api.url}/docs`);
    const policy = headers.get('content-security-policy');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).not.toContain('upgrade-insecure-requests');
    expect(headers.has('strict-transport-security')).toBe(false);
  });

  it.each(['/redoc/redoc.standalone.js', '/docs/swagger-ui.css', '/docs/swagger-ui-start.js', '/openapi.json'])(
    'sends %s compressed, and once only',
    async (path) => {
      const first = await send('GET', `${api.url}${path}`, { headers: { 'accept-encoding': 'gzip' } });
      if (first.text.length > 1024) expect(first.headers.get('content-encoding')).toBe('gzip');
      expect(first.headers.get('cache-control')).toBe('no-cache');
      // Not by fetch: with `If-None-Match` it asks for a fresh copy (`Cache-Control: no-cache`).
      const again = await requestRaw(api.url, 'GET', path, [`If-None-Match: ${first.headers.get('etag')}`]);
      expect([again.status, again.body]).toEqual([304, '']);
    },
  );

  it.each([
    ...[
      '/docs',
      '/api/docs',
      '/redoc',
      '/docs/swagger-ui.css',
      '/docs/swagger-ui-bundle.js',
      '/redoc/redoc.standalone.js',
    ],
    ...['/docs/swagger-ui-start.js', '/docs/icon.svg', '/openapi.json'],
  ])('tells caches that %s depends on what a client can read, by a tag that holds for all of it', async (path) => {
    for (const encoding of ['identity', 'gzip', 'br']) {
      const { headers } = await send('GET', `${api.url}${path}`, { headers: { 'accept-encoding': encoding } });
      expect([encoding, headers.get('vary')]).toEqual([encoding, 'Origin, accept-encoding']);
      const etag = headers.get('etag');
      if (etag === null) continue;
      expect(etag).toMatch(/^W\/"[^"]+"$/);
      const again = await requestRaw(api.url, 'GET', path, [`If-None-Match: "other", ${etag}`]);
      expect([again.status, again.headers.etag, again.headers.vary]).toEqual([304, etag, 'Origin, accept-encoding']);
    }
  });

  it.each(['/docs/swagger-ui.css', '/redoc/redoc.standalone.js'])(
    'sends parts of %s, and says so of none',
    async (path) => {
      const ask = (...lines: string[]): Promise<RawAnswer> => requestRaw(api.url, 'GET', path, lines);
      const part = await ask('Range: bytes=0-9');
      expect([part.status, part.body.length]).toEqual([206, 10]);
      const size = part.headers['content-range']?.split('/')[1] ?? '';
      for (const [status, title, line] of [
        [416, 'Range Not Satisfiable', `Range: bytes=${size}-`],
        [412, 'Precondition Failed', 'If-Match: "another"'],
        [412, 'Precondition Failed', 'If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT'],
      ] as const) {
        const { headers, body, ...answer } = await ask(line);
        expect([line, answer.status, headers['content-type']]).toEqual([line, status, PROBLEM]);
        expect(JSON.parse(body)).toMatchObject({ status, title, instance: path, request_id: headers['x-request-id'] });
        expect(headers['content-range']).toBe(status === 416 ? `bytes */${size}` : undefined);
      }
    },
  );

  it.each(['/docs/package.json', '/docs/swagger-initializer.js', '/redoc/..%2f..%2fpackage.json'])(
    'serves nothing else, as %s',
    async (path) => {
      expect((await send('GET', `${api.url}${path}`)).status).toBe(404);
    },
  );
});

describe('the answers of the service', () => {
  let api: TestApp;
  let document: OpenAPIObject;

  beforeAll(async () => {
    api = await startApp();
    document = (await send<OpenAPIObject>('GET', `${api.url}/openapi.json`)).body;
    await send('POST', `${api.url}/api/events`, {
      json: { event_type: 'deployment', severity: 'info', message: 'live', details: { any: { thing: 1 } } },
    });
  });

  afterAll(() => api.close());

  it('are described by OpenAPI 3.1', () => {
    expect(document.openapi).toBe('3.1.0');
  });

  it.each([
    ['/'],
    ['/health'],
    ['/health/live'],
    ['/health/ready'],
    ['/api/health'],
    ['/api/health/database'],
    ['/api/db/health'],
    ['/api/events'],
    ['/api/events/stats'],
    ['/api/events/type/deployment', '/api/events/type/{event_type}'],
    ['/api/events/1', '/api/events/{id}'],
    ['/api/events/987654321', '/api/events/{id}'],
    ['/api/events/x', '/api/events/{id}'],
  ])('to %s have the fields of the document', async (url, path = url) => {
    const { status, headers, body } = await send('GET', `${api.url}${url}`);
    const response = document.paths[path]?.get?.responses[status] as ResponseObject;
    const type = (headers.get('content-type') ?? '').split(';', 1)[0] ?? '';
    expect(undescribed(body, response.content?.[type]?.schema, '')).toEqual([]);
  });

  /** Where `value` has a field that the schema does not name, or lacks one that it requires. */
  function undescribed(value: unknown, schema: SchemaObject | ReferenceObject | undefined, place: string): string[] {
    const { properties = {}, additionalProperties, required = [], items, allOf } = resolve(schema, place);
    if (allOf) return allOf.flatMap((part) => undescribed(value, part, place));
    if (Array.isArray(value)) return value.flatMap((item) => undescribed(item, items, `${place}/*`));
    if (typeof value !== 'object' || value === null || additionalProperties === true) return [];
    const rest = typeof additionalProperties === 'object' ? additionalProperties : undefined;
    return [
      ...required.filter((name) => !(name in value)).map((name) => `${place}/${name} is missing`),
      ...Object.entries(value).flatMap(([name, field]) => {
        const described = properties[name] ?? rest;
        return described ? undescribed(field, described, `${place}/${name}`) : [`${place}/${name} is not described`];
      }),
    ];
  }

  function resolve(schema: SchemaObject | ReferenceObject | undefined, place: string): SchemaObject {
    if (!schema) throw new Error(`the document has no schema for ${place || 'the answer'}`);
    if (!('$ref' in schema)) return schema;
    return resolve(document.components?.schemas?.[schema.$ref.replace('#/components/schemas/', '')], place);
  }
});
