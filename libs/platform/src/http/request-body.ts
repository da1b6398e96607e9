import type { IncomingMessage } from 'node:http';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { giveTurn } from '../background/turns';
import { AppError } from './app-error';
import { readStream } from './body-stream';
import { MAX_BODY_BYTES } from './http-adapter';
import { keepBody } from './idempotency-key';
import { costOfValues, parseJsonBody } from './json-body';
import type { MemoryShare } from './message-memory';

/** The media types that any operation reads. */
export type BodyType = 'application/json' | 'application/x-ndjson' | 'text/csv';

/** A body as it came, read to its end, UTF-8 by its headers but not checked. */
export interface BufferedContent {
  type: BodyType;
  bytes: Buffer;
  /** What it takes of the memory of all bodies; `null` for a small one. */
  memory: Pick<MemoryShare, 'grow'> | null;
}

/** A body that is still arriving, UTF-8 by its headers but not checked. */
export interface StreamedContent {
  type: BodyType;
  /**
   * The bytes, once; the upload waits while nobody asks for more.
   *
   * @throws AppError `timeout` when nothing comes for 30 seconds, or less than 1 KiB a second on the average of a minute
   *   in which the service waits for it; `malformed` when the client leaves
   */
  chunks: AsyncIterable<Buffer>;
}

interface BodyRules {
  as: 'json' | 'bytes' | 'stream';
  types: readonly BodyType[];
  /** Bytes at most; more is 413. */
  limit: number;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    body?: BodyRules;
    /** Its time is a matter of how much is transferred: it is never a slow request. */
    isTransfer?: boolean;
  }
}

/** Bytes of a JSON body that takes no time worth a turn of its own. */
const QUICK_BYTES = 16 * 1024;

/** What holds for a route without a decorator of its own: JSON, handed over as the value that it stands for. */
const JSON_BODY: BodyRules = { as: 'json', types: ['application/json'], limit: MAX_BODY_BYTES };

/**
 * The operation reads its body itself, whole: `@RequestContent() content: BufferedContent`. Another type is 415, more
 * than `limit` bytes 413, a body that takes longer than 30 seconds 408.
 */
export function BufferedBody({ types, limit }: Pick<BodyRules, 'types' | 'limit'>): MethodDecorator {
  return RouteConfig({ body: { as: 'bytes', types, limit } satisfies BodyRules });
}

/**
 * The operation reads its body itself, as it comes: `@RequestContent() content: StreamedContent`. Another type is 415.
 * There is no limit of size; what one part of it may be long is for the operation to say. Less than 1 KiB a second, on
 * the average of a minute, is 408.
 */
export function StreamedBody({ types }: Pick<BodyRules, 'types'>): MethodDecorator {
  return RouteConfig({ body: { as: 'stream', types, limit: Infinity } satisfies BodyRules, isTransfer: true });
}

/** The operation answers with a stream of any length: its time is no sign of a fault. */
export const StreamedAnswer = (): MethodDecorator => RouteConfig({ isTransfer: true });

/** The body of an operation with `BufferedBody` or `StreamedBody`. @throws AppError `malformed` when there is none */
export const RequestContent = createParamDecorator((_data: unknown, context: ExecutionContext): unknown => {
  const { body } = context.switchToHttp().getRequest<FastifyRequest>();
  if (body === undefined) throw new AppError('malformed', 'The request has no body.');
  return body;
});

/** Reads every body by the rules of its route, instead of Fastify's own parsers. */
export function readBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', async (request: FastifyRequest, payload: IncomingMessage) => {
    const rules = request.routeOptions.config.body ?? JSON_BODY;
    refuseEncodings(request);
    const type = typeOf(request, rules);
    if (rules.as === 'stream') return { type, chunks: readStream(payload, request.bodyDeadline) };
    const bytes = await readAll(payload, rules.limit, request);
    keepBody(request, bytes);
    if (rules.as === 'bytes') return { type, bytes, memory: request.bodyMemory };
    // A client that always sends the JSON type may delete without a body.
    if (bytes.length === 0 && request.method === 'DELETE') return undefined;
    // The last bytes of many may have come in one turn of the event loop.
    const turn = bytes.length > QUICK_BYTES ? giveTurn() : undefined;
    if (turn) await turn;
    request.bodyMemory?.grow(bytes.length + costOfValues(bytes));
    return parseJsonBody(bytes);
  });
}

function typeOf(request: FastifyRequest, { types }: BodyRules): BodyType {
  const header = request.headers['content-type'] ?? '';
  const end = header.indexOf(';');
  const given = end === -1 ? header : header.slice(0, end);
  const type = types.find((known) => known === given) ?? types.find((known) => known === given.trim().toLowerCase());
  if (type === undefined) {
    const list = types.join(', ').replace(/, ([^,]*)$/, ' or $1');
    throw new AppError('unsupported_media_type', `Send the request body with Content-Type: ${list}.`);
  }
  const charset = end === -1 ? undefined : /charset\s*=\s*"?([^\s;"]+)/i.exec(header.slice(end))?.[1]?.toLowerCase();
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    throw new AppError('unsupported_media_type', 'Send the request body as UTF-8.');
  }
  return type;
}

function refuseEncodings({ headers }: FastifyRequest): void {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new AppError('unsupported_media_type', 'Send the request body without Content-Encoding.', {
      headers: { 'accept-encoding': 'identity' },
    });
  }
}

function readAll(
  payload: IncomingMessage,
  limit: number,
  { bodyDeadline, bodyMemory }: Pick<FastifyRequest, 'bodyDeadline' | 'bodyMemory'>,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const announced = Number(payload.headers['content-length']);
    const chunks: Buffer[] = [];
    let length = 0;
    // Has room for all once a quarter has come: not for what is only announced, and not twice for what is there.
    let whole: Buffer | undefined;
    const add = (chunk: Buffer): void => {
      try {
        if (length + chunk.length > limit) throw tooLarge(limit);
        if (whole) chunk.copy(whole, length);
        else chunks.push(chunk);
        length += chunk.length;
        bodyMemory?.grow(length, chunks.length);
        if (!whole && length < announced && length * 4 >= announced) {
          whole = Buffer.allocUnsafeSlow(announced);
          Buffer.concat(chunks.splice(0), length).copy(whole);
        }
      } catch (error) {
        refuse(error as AppError);
      }
    };
    const finish = (): void => resolve(whole ?? Buffer.concat(chunks, length));
    // What still comes is read and thrown away, within the same time: who finds the connection closed while it sends may
    // never see the answer (RFC 9112, section 9.6).
    const refuse = (error: AppError): void => {
      payload.off('data', add).off('end', finish).resume();
      chunks.length = 0;
      whole = undefined;
      bodyDeadline?.whenOver(undefined);
      reject(error);
    };
    if (announced > limit) {
      refuse(tooLarge(limit));
      return;
    }
    bodyDeadline?.whenOver(refuse);
    payload.on('data', add);
    payload.once('end', finish);
    payload.once('error', (cause) => refuse(endedEarly(cause)));
  });
}

function tooLarge(limit: number): AppError {
  return new AppError('payload_too_large', `The request body is larger than ${limit / 1024 ** 2} MiB.`);
}

function endedEarly(cause: unknown): AppError {
  return new AppError('malformed', 'The request body ended early.', { cause });
}
