import type { FastifyReply } from 'fastify';
import { isNotModified } from './entity-tag';
import { countAnswer } from './message-memory';

/** An answer that is JSON text already, with its own headers; an `etag` among them answers `If-None-Match`. */
export class JsonText {
  constructor(
    readonly text: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {}
}

/**
 * Sends a `JsonText` as it stands, or 304 without a body when the caller has it already (RFC 9110, section 15.4.5).
 *
 * @throws AppError `unavailable` where it is large and too many others are being sent
 */
export function sendJsonText(reply: FastifyReply, { text, headers }: JsonText): void {
  const { method, headers: given } = reply.request;
  const isKnown =
    (method === 'GET' || method === 'HEAD') &&
    headers.etag !== undefined &&
    isNotModified(given['if-none-match'], headers.etag);
  const body = isKnown ? undefined : countAnswer(reply, text);
  varyByEncoding(reply);
  // Kept by nobody without asking again.
  void reply.header('cache-control', 'no-cache').headers(headers);
  if (isKnown) void reply.code(304).send();
  else void reply.header('content-type', 'application/json; charset=utf-8').send(body);
}

/**
 * Says that the answer is not the same to those who read no compression (RFC 9110, section 12.5.5), also where it is not
 * compressed: a cache would hand that one to everybody.
 */
export function varyByEncoding(reply: FastifyReply): void {
  const vary = reply.getHeader('vary');
  void reply.header('vary', vary === undefined ? 'accept-encoding' : `${String(vary)}, accept-encoding`);
}
