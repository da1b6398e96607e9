import type { FastifyReply } from 'fastify';
import { isNotModified } from './entity-tag';

/** An answer that is JSON text already, with its own headers; an `etag` among them answers `If-None-Match`. */
export class JsonText {
  constructor(
    readonly text: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {}
}

/** Sends a `JsonText` as it stands, or 304 without a body when the caller has it already (RFC 9110, section 15.4.5). */
export function sendJsonText(reply: FastifyReply, { text, headers }: JsonText): void {
  const { method, headers: given } = reply.request;
  const vary = reply.getHeader('vary');
  // Kept by nobody without asking again, and not the same to those who read no compression.
  void reply
    .header('cache-control', 'no-cache')
    .header('vary', vary === undefined ? 'accept-encoding' : `${String(vary)}, accept-encoding`)
    .headers(headers);
  const { etag } = headers;
  if (etag !== undefined && (method === 'GET' || method === 'HEAD') && isNotModified(given['if-none-match'], etag)) {
    void reply.code(304).send();
    return;
  }
  void reply.header('content-type', 'application/json; charset=utf-8').send(text);
}
