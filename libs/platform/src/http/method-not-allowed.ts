import { METHODS } from 'node:http';
import type { FastifyInstance, HTTPMethods } from 'fastify';
import { AppError } from './app-error';

/** Every method that Node reads, those of WebDAV among them; CONNECT never becomes a request. */
const REFUSABLE = METHODS.filter((method): method is HTTPMethods => method !== 'CONNECT');

/**
 * Watches the routes that are registered from now on. The function it returns, called after the last of them, answers
 * 405 with `Allow` (RFC 9110, section 15.5.6) for a known path with another method; Fastify's own answer is 404.
 */
export function watchMethods(server: FastifyInstance): () => void {
  const methodsOf = new Map<string, Set<string>>();
  let watching = true;
  server.addHook('onRoute', (route) => {
    if (!watching) return;
    // The router ignores a trailing slash, so both spellings are one path.
    const { method } = route;
    const url = route.url.replace(/(?<=.)\/$/, '');
    const methods = methodsOf.get(url) ?? new Set<string>();
    for (const name of [method].flat()) methods.add(name);
    methodsOf.set(url, methods);
  });
  return () => {
    watching = false;
    const known = new Set<string>(server.supportedMethods);
    for (const method of REFUSABLE) if (!known.has(method)) server.addHttpMethod(method);
    for (const [url, allowed] of methodsOf) refuseOthers(server, url, allowed);
  };
}

function refuseOthers(server: FastifyInstance, url: string, allowed: ReadonlySet<string>): void {
  const refused = REFUSABLE.filter((method) => !allowed.has(method));
  if (refused.length === 0) return;
  const allow = [...allowed].sort().join(', ');
  const refuse = (): never => {
    throw new AppError('method_not_allowed', `Only ${allow} is possible here.`, { headers: { allow } });
  };
  // In the hook, so that a body is neither read nor judged first.
  server.route({ method: refused, url, onRequest: refuse, handler: refuse });
}
