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

/** Bytes a second that a streamed body brings at least; fewer is 408: a byte now and then would hold its connection. */
export const LEAST_BYTES_PER_SECOND = 1024;

/** Milliseconds over which that is averaged. Time in which the service itself does not read is not counted. */
export const AVERAGED_MS = 60_000;

const TOO_SLOW = `less than ${LEAST_BYTES_PER_SECOND / 1024} KiB a second came, on the average of a minute`;

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
  /** Milliseconds that the client may still be waited for; what it sends gives it more, up to a minute. */
  private credit = AVERAGED_MS;
  /** Since when it is waited for. */
  private since: number | undefined;
  /** Bytes of the connection for which it has its credit. */
  private credited: number;

  constructor(
    private readonly message: IncomingMessage,
    private readonly timeoutMs: number,
  ) {
    this.credited = message.socket.bytesRead;
    message.once('close', () => this.stop());
    this.start(timeoutMs);
  }

  /**
   * Milliseconds by which the client is behind the least rate, of the last minute in which the service waited for it; 0
   * while it does not wait.
   */
  get behindMs(): number {
    return this.since === undefined || this.message.complete ? 0 : AVERAGED_MS - this.creditNow();
  }

  /** Waits for the next bytes of a stream, in time and at the least rate. `giveUp` is called when they do not come. */
  waitForMore(giveUp: (error: AppError) => void): void {
    this.stop();
    this.giveUp = giveUp;
    this.start(Math.min(this.timeoutMs, this.credit));
  }

  /** Waits for what still comes of a stream that nobody reads any more. */
  waitForRest(): void {
    this.stop();
    this.giveUp = undefined;
    this.start(this.timeoutMs);
  }

  /** Waits for the client no longer: it is the service that takes its time now. */
  stop(): void {
    clearTimeout(this.timer);
    this.credit = this.creditNow();
    this.credited = this.message.socket.bytesRead;
    this.since = undefined;
  }

  /** Has `giveUp`, where there is one, called instead of the connection cut when the time is over. */
  whenOver(giveUp: ((error: AppError) => void) | undefined): void {
    this.giveUp = giveUp;
  }

  private start(ms: number): void {
    this.since = performance.now();
    const reason = ms < this.timeoutMs ? TOO_SLOW : `nothing more came within ${this.timeoutMs / 1000} seconds`;
    this.timer = setTimeout(() => this.expire(reason), ms).unref();
  }

  private creditNow(): number {
    const waitedMs = this.since === undefined ? 0 : performance.now() - this.since;
    const earnedMs = ((this.message.socket.bytesRead - this.credited) * 1000) / LEAST_BYTES_PER_SECOND;
    return Math.min(AVERAGED_MS, this.credit - waitedMs + earnedMs);
  }

  private expire(reason: string): void {
    if (this.message.complete) return;
    if (!this.giveUp) this.message.destroy();
    else {
      const message = `The request body did not arrive in time: ${reason}.`;
      this.giveUp(new AppError('timeout', message, { headers: { connection: 'close' } }));
    }
  }
}
