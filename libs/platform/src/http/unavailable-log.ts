import { LRUCache } from 'lru-cache';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { AppError } from './app-error';

declare module 'fastify' {
  interface FastifyInstance {
    unavailableLog: UnavailableLog;
  }
}

/** Milliseconds without a 503 for a reason, after which the next one is news again. */
const QUIET_MS = 60_000;

/** Reasons that are remembered; there are about a dozen. */
const MAX_REASONS = 100;

/** Tells why requests are answered with 503: each reason once, not per request, until it was not met for a minute. */
export class UnavailableLog {
  private readonly told = new LRUCache<string, true>({ max: MAX_REASONS, ttl: QUIET_MS });

  constructor(private readonly log: FastifyBaseLogger) {}

  note({ message, cause }: AppError): void {
    const { code, message: words = '' } = (cause ?? {}) as { code?: string; message?: string };
    // The words of one fault differ, by the file or the connection that it hits; its code does not.
    const reason = code ?? (words || message);
    if (!this.told.has(reason))
      this.log.warn({ reason: words || code, code }, `requests are answered with 503: ${message}`);
    this.told.set(reason, true);
  }
}

/** Gives the server a log of its own for what makes it unavailable. */
export function logUnavailability(server: FastifyInstance): void {
  server.decorate('unavailableLog', new UnavailableLog(server.log));
}
