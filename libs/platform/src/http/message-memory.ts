import type { FastifyInstance, FastifyReply } from 'fastify';
import { AppError } from './app-error';

declare module 'fastify' {
  interface FastifyInstance {
    /** What the large bodies and answers of all requests under way take together. */
    messageMemory: { bytes: number };
  }
  interface FastifyRequest {
    /** What the body takes of it; `null` for none, or a small one. */
    bodyMemory: MemoryShare | null;
  }
}

/** Bytes that the bodies and answers of all requests under way may take together; a larger one beyond is 503. */
const MAX_MESSAGES_BYTES = 128 * 1024 * 1024;

/** Bytes of each that do not count: events come and go in bodies like that, and must not wait for large ones. */
const SMALL_MESSAGE_BYTES = 64 * 1024;

/** Bytes that a part of a body takes besides its own: the client decides how many parts there are. */
const PART_BYTES = 256;

const SAFE_METHODS: readonly string[] = ['GET', 'HEAD'];

/**
 * Limits what the bodies that are read whole take together, from their first byte until their answer is made, with the
 * answers that are made whole, until they are sent: there can be many of them at once, each may be as large as its
 * operation allows, and the client decides how fast it sends and reads.
 */
export function limitMessageMemory(server: FastifyInstance): void {
  const total = { bytes: 0 };
  server.decorate('messageMemory', total);
  server.decorateRequest('bodyMemory', null);
  server.addHook('onRequest', (request, _reply, done) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    if (Number(length) > SMALL_MESSAGE_BYTES || encoding !== undefined) request.bodyMemory = new MemoryShare(total);
    done();
  });
  // Not when the answer closes: that comes while the body of a client that left is still being stored, and never for an
  // answer that waits behind another one on a connection that is lost.
  server.addHook('onSend', (request, _reply, payload, done) => {
    request.bodyMemory?.release();
    done(null, payload);
  });
}

/**
 * The text of an answer as it is to be sent: a large one counts from now on until it is.
 *
 * @throws AppError `unavailable` where all large messages together are too large; never after a change, which is
 * done, and whose body had to find room before
 */
export function answerWithinMemory(reply: FastifyReply, text: string): string | Buffer {
  const { method, raw } = reply.request;
  if (text.length <= SMALL_MESSAGE_BYTES || raw.socket.destroyed) return text;
  const share = new MemoryShare(reply.server.messageMemory);
  // As bytes it is kept once: of a text the server makes copies while it waits to be sent.
  const bytes = Buffer.from(text);
  if (SAFE_METHODS.includes(method)) share.grow(bytes.length, 1);
  else share.count(bytes.length);
  const release = (): void => {
    share.release();
    raw.socket.off('close', release);
  };
  reply.raw.once('close', release);
  // Of a lost connection only the answer that is being sent closes, none of those that wait behind it.
  raw.socket.once('close', release);
  return bytes;
}

/** The part of one body or answer. */
export class MemoryShare {
  private counted = 0;

  constructor(private readonly total: { bytes: number }) {}

  /**
   * Counts a body or answer of so many bytes, in so many parts, so far.
   *
   * @throws AppError `unavailable` where all of them together are too large
   */
  grow(bytes: number, parts: number): void {
    const counted = Math.max(0, bytes + parts * PART_BYTES - SMALL_MESSAGE_BYTES);
    if (this.total.bytes + counted - this.counted > MAX_MESSAGES_BYTES) {
      throw new AppError('unavailable', 'Too many large bodies and answers are under way; try again.');
    }
    this.count(counted);
  }

  /** Counts so many bytes, whatever the others take. */
  count(bytes: number): void {
    this.total.bytes += bytes - this.counted;
    this.counted = bytes;
  }

  release(): void {
    this.count(0);
  }
}
