import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { STATUS_CODES } from 'node:http';
import { join } from 'node:path';
import type {
  MediaTypeObject,
  OpenAPIObject,
  OperationObject,
  RequestBodyObject,
  ResponseObject,
} from '@nestjs/swagger';

const ROOT = join(__dirname, '../..');
const DOCUMENT = join(ROOT, 'docs/openapi.json');
const CLIENT = join(ROOT, 'test/support/generated/api.d.ts');
const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

// Without an environment: what it needs of a database, a cache or a setting would show as a failure.
function run(script: string, ...args: string[]): string {
  return execFileSync(process.execPath, [join(ROOT, script), ...args], {
    cwd: ROOT,
    env: {},
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

const generated = run('dist/apps/api/src/write-openapi.js');
const document = JSON.parse(generated) as OpenAPIObject;
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  METHODS.flatMap((method): [string, OperationObject][] => {
    const operation = item[method];
    return operation ? [[`${method.toUpperCase()} ${path}`, operation]] : [];
  }),
);

function responsesOf(operation: OperationObject): [number, ResponseObject][] {
  return Object.entries(operation.responses).map(([status, response]) => [Number(status), response as ResponseObject]);
}

function hasExample(body: MediaTypeObject): boolean {
  return body.example !== undefined || Object.keys(body.examples ?? {}).length > 0;
}

describe('the OpenAPI document', () => {
  it('is docs/openapi.json (else: npm run build && npm run openapi:write)', () => {
    expect(readFileSync(DOCUMENT, 'utf8')).toBe(generated);
  });

  it('has the version of the package', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(document).toMatchObject({ openapi: '3.1.0', info: { version } });
  });

  it('is what the client of the tests was generated from (else: npm run openapi:client)', () => {
    const types = run('node_modules/openapi-typescript/bin/cli.js', DOCUMENT);
    expect(readFileSync(CLIENT, 'utf8')).toBe(types);
  });

  it('names every operation once, fit for a method name', () => {
    const ids = operations.map(([, { operationId }]) => operationId);
    expect(ids.filter((id) => !/^[a-z][a-zA-Z0-9]*$/.test(id ?? ''))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('takes null only where a type says so', () => {
    expect(generated).not.toContain('"nullable"');
    expect(document.components?.schemas?.Event).toMatchObject({
      properties: { details: { type: ['object', 'null'], additionalProperties: true } },
    });
  });

  describe.each(operations)('%s', (name, operation) => {
    it('has a summary and a tag', () => {
      expect(operation.summary).toMatch(/\S/);
      expect(operation.tags).toHaveLength(1);
    });

    it('shows an example of every body', () => {
      const bodies = [
        ...Object.values((operation.requestBody as RequestBodyObject | undefined)?.content ?? {}),
        ...responsesOf(operation).flatMap(([, { content }]) => Object.values(content ?? {})),
      ];
      expect(bodies.filter((body) => !hasExample(body))).toEqual([]);
    });

    it('describes its errors as problems', () => {
      const errors = responsesOf(operation).filter(([status]) => status >= 400);
      for (const [status, { content = {} }] of errors) {
        // Terminus's own report.
        if (status === 503 && name.startsWith('GET /health')) continue;
        expect(Object.keys(content)).toEqual(['application/problem+json']);
        expect(content['application/problem+json']).toMatchObject({
          schema: { $ref: '#/components/schemas/Problem' },
          example: { status, title: STATUS_CODES[status], instance: expect.stringMatching(/^\/[^{}]*$/) as unknown },
        });
      }
    });

    it('lists the errors that any operation may answer', () => {
      const statuses = responsesOf(operation).map(([status]) => status);
      const isOpen = operation.security?.length === 0;
      const isProbe = name.startsWith('GET /health') || name === 'GET /api/health';
      expect(statuses).toEqual(expect.arrayContaining([400, 500]));
      expect(statuses.includes(401)).toBe(!isOpen);
      expect(statuses.includes(429)).toBe(!isProbe);
    });

    it('lists the errors of what it reads', () => {
      const statuses = responsesOf(operation).map(([status]) => status);
      if (operation.requestBody) expect(statuses).toEqual(expect.arrayContaining([400, 413, 415, 422, 503]));
      if (operation.parameters?.length) expect(statuses).toEqual(expect.arrayContaining([422, 503]));
    });
  });
});

describe('the ReDoc of the build', () => {
  const folder = join(ROOT, 'dist/apps/api/src/redoc');

  it('asks no other host for its logo', () => {
    expect(readFileSync(join(folder, 'redoc.standalone.js'), 'utf8')).not.toContain('cdn.redoc.ly');
  });

  it.each(['LICENSE', 'redoc.standalone.js.LICENSE.txt'])('comes with its %s', (file) => {
    expect(existsSync(join(folder, file))).toBe(true);
  });
});
