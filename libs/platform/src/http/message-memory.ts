import type { Socket } from 'node:net';
import { getHeapStatistics } from 'node:v8';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { AppError } from './app-error';

declare module 'fastify' {
  interface FastifyInstance {
    /** What the large answers of all requests under way take. */
    answerMemory: MessageMemory;
  }
  interface FastifyRequest {
    /** What the body takes of the memory of all bodies; `null` for none, or a small one. */
    bodyMemory: MemoryShare | null;
  }
}

const MEBIBYTE = 1024 * 1024;

/** Bytes that all bodies under way may take together, and as many all answers; a larger one beyond is 503. */
export const MAX_MESSAGE_BYTES = maxMessageBytes(getHeapStatistics().heap_size_limit);

/**
 * An eighth of what the heap may have, 128 MiB at most: texts of it may be there twice, and in two bytes a character. At
 * least 32 MiB, or a large batch would never find room.
 */
export function maxMessageBytes(heapLimit: number): number {
  return Math.max(32 * MEBIBYTE, Math.min(128 * MEBIBYTE, heapLimit / 8));
}

/** Bytes of each body or answer that do not count: most are as small, and must not wait for large ones. */
const SMALL_BYTES = 64 * 1024;

/** Bytes that a part of a body takes besides its own: the client decides how many parts there are. */
const PART_BYTES = 256;

/** Bytes of a body whose values are not counted, as most are: they take 27 times as much at most, little more than that. */
const UNCOUNTED_BYTES = 4 * 1024;

/**
 * Limits what the bodies that are read whole take together, as they come and once they are parsed, from their first byte
 * until their answer is made, and what
 * the answers that are made whole take, until they are sent. There can be many at once, each may be as large as its
 * operation allows, and the client decides how fast it sends and reads.
 */
export function limitMessageMemory(server: FastifyInstance): void {
  const bodies = new MessageMemory('request bodies');
  server.decorate('answerMemory', new MessageMemory('answers'));
  server.decorateRequest('bodyMemory', null);
  server.addHook('onRequest', (request, _reply, done) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    if (Number(length) > UNCOUNTED_BYTES || encoding !== undefined) request.bodyMemory = new MemoryShare(bodies);
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
 * Counts an answer from now on until it is sent.
 *
 * @returns the answer as it is to be sent; as bytes a large one is kept once, of a text copies are made while it waits
 * @throws AppError `unavailable` where all answers together are too large. Never for a request that may have changed
 *   something, of which the client has to learn: such answers have at most a few MiB, and each connection has one.
 */
export function countAnswer(reply: FastifyReply, text: string): string | Buffer {
  const { method, raw } = reply.request;
  const length = Buffer.byteLength(text);
  if (length <= SMALL_BYTES || method === 'HEAD' || raw.socket.destroyed) return text;
  const memory = reply.server.answerMemory;
  const share = new MemoryShare(memory);
  if (method === 'GET') share.grow(length);
  else share.set(length);
  const shares = memory.sharesOf(raw.socket);
  shares.add(share);
  reply.raw.once('close', () => {
    share.release();
    shares.delete(share);
  });
  return Buffer.from(text);
}

/** What the large bodies, or the large answers, take together. */
class MessageMemory {
  bytes = 0;
  private readonly connections = new WeakMap<Socket, Set<MemoryShare>>();

  /** @param of whose memory it is, as clients read it */
  constructor(readonly of: string) {}

  /**
   * What is counted until the end of a connection at most: of one that is lost only the answer that is being sent closes,
   * none of those that wait behind it.
   */
  sharesOf(socket: Socket): Set<MemoryShare> {
    const known = this.connections.get(socket);
    if (known) return known;
    const shares = new Set<MemoryShare>();
    this.connections.set(socket, shares);
    socket.once('close', () => {
      for (const share of shares) share.release();
    });
    return shares;
  }
}

/** The part of one body or answer. */
export class MemoryShare {
  private counted = 0;

  constructor(private readonly memory: MessageMemory) {}

  /**
   * Counts so many bytes, in so many parts, so far.
   *
   * @throws AppError `unavailable` where all of them together are too large
   */
  grow(bytes: number, parts = 0): void {
    const counted = Math.max(0, bytes + parts * PART_BYTES - SMALL_BYTES);
    if (counted > this.counted && this.memory.bytes + counted - this.counted > MAX_MESSAGE_BYTES) {
      throw new AppError('unavailable', `Too many large ${this.memory.of} are being handled; try again.`);
    }
    this.set(counted);
  }

  /** Counts so many bytes, whatever the others take. */
  set(bytes: number): void {
    this.memory.bytes += bytes - this.counted;
    this.counted = bytes;
  }

  release(): void {
    this.set(0);
  }
}
