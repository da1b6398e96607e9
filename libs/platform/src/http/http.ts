import fastifyCompress from '@fastify/compress';
import fastifyRateLimit from '@fastify/rate-limit';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify';
import type { HttpConfig } from '../config/config';
import { limitAnswerTime } from './answer-deadline';
import { AppError } from './app-error';
import { isProbe, requireToken } from './authentication';
import { limitBodyTime } from './body-deadline';
import { limitConnections } from './connection-limit';
import { checkHosts } from './host-check';
import type { HttpAdapter } from './http-adapter';
import { shorten } from './json-body';
import { limitMessageMemory } from './message-memory';
import { watchMethods } from './method-not-allowed';
import { readBodies } from './request-body';
import { SECURITY_HEADERS, TLS_SECURITY_HEADERS } from './security-headers';
import { logUnavailability } from './unavailable-log';

/** Headers that a browser's script may read from another origin. */
const EXPOSED_HEADERS = [
  'Link',
  'ETag',
  'Location',
  'Retry-After',
  'X-Request-Id',
  'X-Total-Count',
  'Idempotent-Replayed',
];

/** Seconds for which a browser may remember what a preflight said. */
const PREFLIGHT_SECONDS = 600;

/** Answers smaller than this many bytes are not worth compressing. */
const COMPRESSION_THRESHOLD = 1024;

/** Types of answers that are worth compressing. */
const COMPRESSIBLE = /^text\/|^application\/(?:.+\+)?(?:json|x-ndjson|javascript|xml)(?:;|$)/;

/** Milliseconds that open requests get to finish once the server closes. */
const DRAIN_TIMEOUT_MS = 10_000;

/** Milliseconds for `SHUTDOWN_DELAY_MS` and open requests together: what is left of 25 s is for storing the rest. */
const CLOSED_WITHIN_MS = 20_000;

/**
 * Everything around the routes, in the order a request meets it: request id, security headers, connections, host, CORS,
 * rate limit, token, body; then compression and the log line of the response. Call it before `app.init()`, and what it returns after
 * the last route is registered: other methods on known paths are 405 then.
 */
export async function configureHttp(app: NestFastifyApplication, config: HttpConfig): Promise<() => void> {
  const adapter = app.getHttpAdapter() as unknown as HttpAdapter;
  const server: FastifyInstance = adapter.getInstance();
  server.addHook('onRequest', (request, reply, done) => {
    const isTls = config.trustProxy !== false && request.protocol === 'https';
    void reply.headers(isTls ? TLS_SECURITY_HEADERS : SECURITY_HEADERS).header('x-request-id', request.id);
    done();
  });
  limitConnections(server, config.maxConnections);
  limitBodyTime(server);
  limitMessageMemory(server);
  limitAnswerTime(server);
  const checkHost = checkHosts(config);
  server.addHook('onRequest', (request, _reply, done) => done(checkHost(request.raw)));
  if (config.corsOrigins.length > 0) {
    app.enableCors({
      origin: config.corsOrigins.includes('*') ? '*' : config.corsOrigins,
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders: EXPOSED_HEADERS,
      // A preflight counts as a request where there is a rate limit: browsers should not repeat it each time.
      maxAge: PREFLIGHT_SECONDS,
      // Nest runs the plugin before every hook from here; what it answered itself would be judged by none of them.
      preflightContinue: true,
      // An OPTIONS that is no preflight is answered like one; the plugin would send its own plain 400.
      strictPreflight: false,
    });
  }
  if (config.rateLimitPerMinute > 0) await limitRate(server, config.rateLimitPerMinute);
  if (config.corsOrigins.length > 0) server.addHook('onRequest', answerPreflight);
  if (config.apiToken !== undefined) server.addHook('onRequest', requireToken(config.apiToken));
  server.addHook('onRequest', refuseBrokenRequests);
  await server.register(fastifyCompress, {
    threshold: COMPRESSION_THRESHOLD,
    customTypes: COMPRESSIBLE,
    inflateIfDeflated: false,
    // Compressed request bodies are refused; the plugin would unpack them first, and fail with a 500 on broken ones.
    globalDecompression: false,
  });
  readBodies(server);
  logUnavailability(server);
  logAnswers(server, config.slowRequestMs);
  drainOnClose(adapter, Math.min(DRAIN_TIMEOUT_MS, CLOSED_WITHIN_MS - config.shutdownDelayMs));
  return watchMethods(server);
}

async function limitRate(server: FastifyInstance, perMinute: number): Promise<void> {
  await server.register(fastifyRateLimit, {
    global: false,
    max: perMinute,
    timeWindow: 60_000,
    allowList: (request) => isProbe(request.url),
    errorResponseBuilder: (_request, { max, ttl }) =>
      new AppError('rate_limited', `More than ${max} requests a minute from one address.`, {
        headers: { 'retry-after': String(Math.max(1, Math.ceil(ttl / 1000))) },
      }),
  });
  // As a hook, not per route, so that unknown paths count too.
  server.addHook('onRequest', server.rateLimit());
}

function answerPreflight({ method }: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
  if (method === 'OPTIONS') void reply.code(204).header('content-length', '0').send();
  else done();
}

// Before a body is read, or its type judged.
function refuseBrokenRequests(request: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
  const { url, is404, raw } = request;
  const start = url.indexOf('?');
  if (raw.refusal) done(raw.refusal);
  else if (start !== -1 && !isPercentEncoded(url.slice(start))) {
    done(new AppError('malformed', 'The query is not percent-encoded UTF-8.'));
  } else done(is404 ? new AppError('not_found', 'There is nothing at this path.') : undefined);
}

// The parser of queries would take a broken escape for text, and a filter by it would silently match nothing.
function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function logAnswers(server: FastifyInstance, slowRequestMs: number): void {
  server.addHook('onResponse', (request, reply, done) => {
    const ms = Math.round(reply.elapsedTime);
    // The path without its query: parameters may hold what should not be logged.
    const path = shorten(request.originalUrl.split('?', 1)[0] ?? '');
    request.log[answerLevel(request, reply, ms >= slowRequestMs)](
      { method: request.method, path, status: reply.statusCode, ms, address: request.ip },
      'request',
    );
    done();
  });
}

function answerLevel(
  request: FastifyRequest,
  { statusCode }: FastifyReply,
  isSlow: boolean,
): 'debug' | 'info' | 'warn' | 'error' {
  // Why is told once, by the log of unavailability.
  if (statusCode === 503) return 'info';
  if (statusCode >= 500) return 'error';
  if (isSlow && !request.routeOptions.config.isTransfer) return 'warn';
  return statusCode >= 400 ? 'info' : 'debug';
}

// A kept-alive connection would hold the close up, or be cut just when its client uses it again: from the signal on
// answers end theirs. What still hangs once the server has closed is cut off.
function drainOnClose(adapter: HttpAdapter, timeoutMs: number): void {
  const server: FastifyInstance = adapter.getInstance();
  server.addHook('preClose', (done) => {
    setTimeout(() => server.server.closeAllConnections(), timeoutMs).unref();
    done();
  });
  server.addHook('onSend', (_request, reply, payload, done) => {
    if (adapter.isEnding) void reply.header('connection', 'close');
    done(null, payload);
  });
}
