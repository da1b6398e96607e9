import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { LogController, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Bindings, ChildLoggerOptions, Logger } from 'pino';
import type { HttpConfig } from '../config/config';
import { RequestLogger } from '../logging/request-logger';
import { AppError, type ErrorKind } from './app-error';
import { JsonText, sendJsonText } from './json-text';
import { problemHeaders, statusOf, toProblem } from './problem';
import { sendProblem, toAppError } from './problem.filter';
import { pathOfTarget } from './request-target';

/** Bytes of a JSON body; more is 413. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** Milliseconds a client has to send the head of a request; more is 408 (slowloris). Bodies have limits of their own. */
const HEADERS_TIMEOUT_MS = 30_000;

/** Milliseconds between two looks for clients that are too slow; by Node's default they would get 30 seconds more. */
const SLOW_CLIENT_CHECK_MS = 5000;

/** Long enough for any path that fits Node's 16 KiB of headers: the rules of each parameter say what is too long. */
const MAX_PARAMETER_LENGTH = 16 * 1024;

const REQUEST_ID = /^[\w.:-]{1,128}$/;

/** Fastify for Nest, which sends text that is JSON already past everything that would make it. */
export class HttpAdapter extends FastifyAdapter {
  /** From the moment the application is told to close, before the server takes no connections any more. */
  isEnding = false;

  // Routes of plugins, registered before Nest gets to its own handler, keep the one that is there by then.
  override setErrorHandler(): ReturnType<FastifyAdapter['setErrorHandler']> {
    return this.instance;
  }

  override beforeClose(): void {
    super.beforeClose();
    this.isEnding = true;
  }

  override reply(
    ...[response, body, status]: Parameters<FastifyAdapter['reply']>
  ): ReturnType<FastifyAdapter['reply']> {
    if (!(body instanceof JsonText)) return super.reply(response, body, status);
    const reply = response as FastifyReply;
    if (status !== undefined) void reply.code(status);
    sendJsonText(reply, body);
    return reply;
  }
}

/** Fastify as eventdeck runs it: limits, request ids, errors as problem+json before any route is reached. */
export function createHttpAdapter(config: HttpConfig, logger: Logger): HttpAdapter {
  const adapter = new HttpAdapter({
    // Nest's own middleware, of which there is none, would be looked for at every request.
    skipMiddie: true,
    loggerInstance: logger,
    childLoggerFactory: (_parent: unknown, bindings: Bindings, options?: ChildLoggerOptions) =>
      new RequestLogger(logger, bindings, options),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    trustProxy: config.trustProxy,
    bodyLimit: MAX_BODY_BYTES,
    rewriteUrl: pathOfTarget,
    // Where it is missing `checkHosts` says so, as a problem.
    http: {
      requireHostHeader: false,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: SLOW_CLIENT_CHECK_MS,
    },
    // Our own check refuses such keys with a pointer; Fastify's would be a bare 400.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
    requestIdHeader: false,
    genReqId: requestId,
    return503OnClosing: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAMETER_LENGTH },
    // What the router cannot read goes round again, through every hook: limits and the token hold for it too.
    frameworkErrors: (error: Error, { raw, server }: FastifyRequest, reply: FastifyReply) => {
      raw.refusal = toAppError(error);
      server.routing(raw, reply.raw);
    },
    clientErrorHandler: answerBrokenRequest,
  });
  const server = adapter.getInstance<FastifyInstance>();
  server.setErrorHandler((error, request, reply) => sendProblem(toAppError(error), request, reply));
  // Node would answer itself, with nothing but the status.
  server.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    request.refusal = new AppError('expectation_failed', 'Send no Expect header, or Expect: 100-continue.');
    server.routing(request, response);
  });
  return adapter;
}

// The caller's own id when it is a plain token, so that one id can be followed through several services.
function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

// What Node's HTTP parser refuses never becomes a request: the answer is written to the socket itself.
function answerBrokenRequest(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable || owesAnswer(socket)) {
    socket.destroy();
    return;
  }
  const problem = new AppError(...describeParserError(error.code));
  const id = randomUUID();
  const body = JSON.stringify(toProblem(problem, '', id));
  const headers = {
    ...problemHeaders(problem),
    'x-request-id': id,
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${statusOf(problem.kind)} ${toProblem(problem, '', '').title}\r\n${lines.join('')}\r\n${body}`);
}

// To a whole request in front of what is broken: it would take a refusal for its own. Node's server keeps the answer
// that is next on the socket, and asks it before it writes an answer of its own to a client error.
function owesAnswer(socket: Duplex & { _httpMessage?: ServerResponse | null }): boolean {
  return socket._httpMessage?.req.complete === true;
}

function describeParserError(code: string | undefined): [ErrorKind, string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return ['headers_too_large', 'The request headers are larger than 16 KiB.'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['timeout', `The request did not arrive within ${HEADERS_TIMEOUT_MS / 1000} seconds.`];
    default:
      return ['malformed', 'The request is not valid HTTP.'];
  }
}
