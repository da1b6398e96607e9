import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createHash } from 'node:crypto';
import fastifyStatic from '@fastify/static';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isNotModified, varyByEncoding, type Config } from '@app/platform';
import { ICON, redocPage, SWAGGER_UI_SCRIPT, swaggerUiPage } from './documentation-pages';
import { createDocument } from './openapi-document';

const SWAGGER_UI = dirname(require.resolve('swagger-ui-dist/package.json'));

/** Beside the compiled file, where the build copies it (`copy-redoc.mjs`); run from the sources, in the dev dependency. */
const REDOC = existsSync(join(__dirname, 'redoc')) ? join(__dirname, 'redoc') : dirname(require.resolve('redoc'));

/** The folder of each file that the pages load, by path below the root; no other file is served. */
const ASSETS: Record<string, string> = {
  'docs/swagger-ui.css': SWAGGER_UI,
  'docs/swagger-ui-bundle.js': SWAGGER_UI,
  'redoc/redoc.standalone.js': REDOC,
};

/** Kept by browsers, but asked for again each time: an upgrade changes files under the same names. */
const CACHE_CONTROL = 'no-cache';

/**
 * Serves the OpenAPI document at `/openapi.json`, Swagger UI at `/docs` and `/api/docs`, and ReDoc at `/redoc`, all from
 * this process. Every reference in the pages is relative, so that they work below a path prefix too.
 */
export async function serveDocumentation(app: NestFastifyApplication, { version }: Config): Promise<void> {
  const server: FastifyInstance = app.getHttpAdapter().getInstance();
  await server.register(fastifyStatic, { root: SWAGGER_UI, serve: false, cacheControl: false });
  for (const [path, folder] of Object.entries(ASSETS)) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    server.get(`/${path}`, (_request, reply) => {
      varyByEncoding(reply);
      return reply.header('cache-control', CACHE_CONTROL).sendFile(name, folder);
    });
  }
  servePage(server, '/docs', swaggerUiPage);
  servePage(server, '/api/docs', swaggerUiPage);
  servePage(server, '/redoc', redocPage);
  serveText(server, '/docs/swagger-ui-start.js', 'text/javascript', () => SWAGGER_UI_SCRIPT);
  serveText(server, '/docs/icon.svg', 'image/svg+xml', () => ICON);
  serveText(server, '/openapi.json', 'application/json', () => JSON.stringify(createDocument(app, version)));
}

function servePage(server: FastifyInstance, path: string, page: (root: string) => string): void {
  server.get(path, (request, reply) => {
    varyByEncoding(reply);
    void reply.type('text/html; charset=utf-8').header('cache-control', CACHE_CONTROL);
    return reply.send(page(rootFrom(request.url)));
  });
}

// From where the page was asked for: `/docs/` lies one level deeper than `/docs`.
function rootFrom(url: string): string {
  const [path = ''] = url.split('?', 1);
  return '../'.repeat(path.split('/').length - 2);
}

function serveText(server: FastifyInstance, path: string, type: string, text: () => string): void {
  let made: { text: string; etag: string } | undefined;
  server.get(path, (request: FastifyRequest, reply: FastifyReply) => {
    // At the first request: every route is known then.
    made ??= withEtag(text());
    varyByEncoding(reply);
    void reply.headers({ etag: made.etag, 'cache-control': CACHE_CONTROL });
    if (isNotModified(request.headers['if-none-match'], made.etag)) return reply.code(304).send();
    return reply.type(`${type}; charset=utf-8`).send(made.text);
  });
}

// Weak: compressed or not, the bytes differ and the tag is one (RFC 9110, section 8.8.3.3).
function withEtag(text: string): { text: string; etag: string } {
  return { text, etag: `W/"${createHash('sha256').update(text).digest('base64url')}"` };
}
