import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { AppError } from './app-error';

declare module 'fastify' {
  interface FastifyRequest {
    /** The time that the client has left to send the body; `null` when there is none to send. */
    bodyDeadline: BodyDeadline | null;
  }
}

/** Milliseconds a client has to send a whole body, or the next byte of a streamed one; more is 408 (slowloris). */
const BODY_TIMEOUT_MS = 30_000;

/**
 * Limits the time in which a body arrives, also one that nobody reads. Node's own `requestTimeout` would end a long
 * upload however fast it goes.
 *
 * @param timeoutMs milliseconds for a whole body, or until the next byte of a streamed one
 */
export function limitBodyTime(server: FastifyInstance, timeoutMs = BODY_TIMEOUT_MS): void {
  server.decorateRequest('bodyDeadline', null);
  server.addHook('onRequest', (request, _reply, done) => {
    const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
    if (length !== '0' || encoding !== undefined) request.bodyDeadline = new BodyDeadline(request.raw, timeoutMs);
    done();
  });
}

/** Ends a request whose body does not arrive in time: whoever waits for it gets a 408, else the connection is cut. */
export class BodyDeadline {
  private timer: NodeJS.Timeout | undefined;
  private giveUp: ((error: AppError) => void) | undefined;

  constructor(
    private readonly message: IncomingMessage,
    private readonly timeoutMs: number,
  ) {
    message.once('close', () => this.stop());
    this.restart();
  }

  /** Gives the client its time anew. */
  restart(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.expire(), this.timeoutMs).unref();
  }

  /** Waits for the client no longer: it is the service that takes its time now. */
  stop(): void {
    clearTimeout(this.timer);
  }

  /** Has `giveUp`, where there is one, called instead of the connection cut when the time is over. */
  whenOver(giveUp: ((error: AppError) => void) | undefined): void {
    this.giveUp = giveUp;
  }

  private expire(): void {
    if (this.message.complete) return;
    if (!this.giveUp) this.message.destroy();
    else this.giveUp(new AppError('timeout', this.describe(), { headers: { connection: 'close' } }));
  }

  private describe(): string {
    return `The request body did not arrive in time: nothing more came within ${this.timeoutMs / 1000} seconds.`;
  }
}
