import { createHash, timingSafeEqual } from 'node:crypto';
import type { onRequestHookHandler } from 'fastify';
import { AppError } from './app-error';

/** Paths, with all below them, that need no token: the probes and the documentation. */
const OPEN_PATHS = ['/health', '/docs', '/api/docs', '/redoc', '/openapi.json'];

/** Paths by themselves that need none. What lies below `/api/health` tells of the databases, as `/api/db/health` does. */
const OPEN_PAGES = new Set(['', '/api/health']);

const PROBE_PATHS = new Set(['/health', '/health/live', '/health/ready', '/api/health']);

/** Whether a URL is a probe's, which no rate limit may fail. */
export function isProbe(url: string): boolean {
  return PROBE_PATHS.has(pathOf(url));
}

/** A hook that asks for `Authorization: Bearer <token>` (RFC 6750) on every path but the open ones; else 401. */
export function requireToken(token: string): onRequestHookHandler {
  const expected = digest(token);
  return (request, _reply, done) => {
    if (request.method === 'OPTIONS' || isOpen(request.url)) {
      done();
      return;
    }
    const given = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
    if (given !== undefined && timingSafeEqual(digest(given), expected)) done();
    else done(new AppError('unauthorized', 'Send the API token as Authorization: Bearer <token>.'));
  };
}

/** Whether a URL needs no token, whatever the configuration. */
export function isOpen(url: string): boolean {
  const path = pathOf(url);
  return OPEN_PAGES.has(path) || OPEN_PATHS.some((open) => path === open || path.startsWith(`${open}/`));
}

function pathOf(url: string): string {
  const path = url.split('?', 1)[0] ?? '';
  // The router ignores one slash at the end, not several.
  return path.endsWith('/') ? path.slice(0, -1) : path;
}

// Digests are of one length, which timingSafeEqual needs and which hides the token's own.
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
