import { createHash } from 'node:crypto';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { invalid } from './app-error';

/** Characters of an `Idempotency-Key`. */
const MAX_KEY_LENGTH = 255;

export const IDEMPOTENCY_KEY_HEADER = 'Idempotency-Key';

/**
 * What a request with an `Idempotency-Key` header is known by
 * (draft-ietf-httpapi-idempotency-key-header-07). Only digests: a key may be somebody's order number.
 */
export interface IdempotencyKey {
  /** SHA-256 over method, path and key, in hexadecimal. */
  digest: string;
  /** SHA-256 over the query and the body as they came, in hexadecimal: with another of them the key is misused. */
  fingerprint: string;
}

/** The raw body of a request that has the header; kept for its fingerprint. */
const bodies = new WeakMap<FastifyRequest, Buffer>();

/** Keeps the body of a request that may be repeated. */
export function keepBody(request: FastifyRequest, body: Buffer): void {
  if (request.headers['idempotency-key'] !== undefined) bodies.set(request, body);
}

/**
 * A parameter of a controller's method: the `IdempotencyKey` of the request, `undefined` without the header.
 *
 * @throws AppError `invalid` for an empty key, one over 255 characters, or one of other than printable ASCII characters
 */
export const IdempotencyKeyHeader = createParamDecorator((_data: unknown, context: ExecutionContext) =>
  idempotencyKeyOf(context.switchToHttp().getRequest<FastifyRequest>()),
);

function idempotencyKeyOf(request: FastifyRequest): IdempotencyKey | undefined {
  const header = request.headers['idempotency-key'];
  if (header === undefined) return undefined;
  // The draft writes it as a string of RFC 8941, in quotes; many clients leave them out.
  const key = /^"(.*)"$/.exec(String(header))?.[1] ?? String(header);
  if (key.length > MAX_KEY_LENGTH || !/^[\x20-\x7e]+$/.test(key)) {
    const detail = `${IDEMPOTENCY_KEY_HEADER} must have 1 to ${MAX_KEY_LENGTH} printable ASCII characters`;
    throw invalid([{ detail, parameter: IDEMPOTENCY_KEY_HEADER }]);
  }
  const [path = '', query = ''] = request.url.split('?', 2);
  const scope = [request.method, path.replace(/(?<=.)\/$/, ''), key];
  // A query has no line breaks.
  return { digest: sha256(JSON.stringify(scope)), fingerprint: sha256(`${query}\n`, bodies.get(request) ?? '') };
}

function sha256(...data: (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of data) hash.update(part);
  return hash.digest('hex');
}
