import type { FastifyInstance } from 'fastify';
import { AppError } from './app-error';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the body takes of the memory of all bodies; `null` for none, or a small one. */
    bodyMemory: BodyMemory | null;
  }
}

/** Bytes that the bodies of all requests under way may take; a larger body beyond is 503. */
const MAX_BODIES_BYTES = 128 * 1024 * 1024;

/** Bytes of each body that do not count: events come in bodies like that, and must not wait for large ones. */
const SMALL_BODY_BYTES = 64 * 1024;

/** Bytes that a part of a body takes besides its own: the client decides how many parts there are. */
const PART_BYTES = 256;

/**
 * Limits what the bodies that are read whole take together, from their first byte until their answer is made: there can
 * be many of them at once, and each may be as large as its operation allows.
 */
export function limitBodyMemory(server: FastifyInstance): void {
  const total = { bytes: 0 };
  server.decorateRequest('bodyMemory', null);
  server.addHook('onRequest', (request, _reply, done) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    if (Number(length) > SMALL_BODY_BYTES || encoding !== undefined) request.bodyMemory = new BodyMemory(total);
    done();
  });
  // Not when the answer closes: that comes while the body of a client that left is still being stored, and never for an
  // answer that waits behind another one on a connection that is lost.
  server.addHook('onSend', (request, _reply, payload, done) => {
    request.bodyMemory?.release();
    done(null, payload);
  });
}

/** The part of one body. */
export class BodyMemory {
  private counted = 0;

  constructor(private readonly total: { bytes: number }) {}

  /**
   * Counts a body of so many bytes, in so many parts, so far.
   *
   * @throws AppError `unavailable` where all bodies together are too large
   */
  grow(bytes: number, parts: number): void {
    const counted = Math.max(0, bytes + parts * PART_BYTES - SMALL_BODY_BYTES);
    if (this.total.bytes + counted - this.counted > MAX_BODIES_BYTES) {
      throw new AppError('unavailable', 'Too many large request bodies are being handled; try again.');
    }
    this.total.bytes += counted - this.counted;
    this.counted = counted;
  }

  release(): void {
    this.total.bytes -= this.counted;
    this.counted = 0;
  }
}
