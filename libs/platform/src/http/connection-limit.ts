import type { Socket } from 'node:net';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from './app-error';
import { isProbe } from './authentication';

/** Connections beyond the limit on which nothing but probes is answered: whoever restarts the service asks there. */
export const PROBE_CONNECTIONS = 10;

/** Milliseconds by which an upload is behind the least rate before it gives its connection up. */
const SLOW_MS = 1000;

/** Connections without a request yet that do not give way to each other: those that come at once all have their turn. */
const NEWCOMERS = 10;

/** Of the limit: once so few connections are open, reaching it again is worth another line in the log. */
const RELIEF = 0.9;

/**
 * Limits how many connections are open at once. Beyond `max` a new one takes the place of one that waits for a request:
 * of the oldest that never made one where there are more than ten, so that clients which say nothing, or too slowly, hold
 * nobody up, else of the one that has been idle for the longest, else of the slowest upload that comes at less than the least rate. Where every
 * connection waits for an answer, the new one is one of ten more: a probe is answered there, anything else with 503, and
 * it is closed then. Call it after the hook that sets the headers of every answer.
 *
 * @param max connections, with those that are kept alive
 */
export function limitConnections(server: FastifyInstance, max: number): void {
  const connections = new Connections(max);
  const reserve = new Connections(PROBE_CONNECTIONS);
  const log = new FullLog(max, server.log);
  // Before Node's own listener: it should not begin to read from a connection that is closed at once.
  server.server.prependListener('connection', (socket: Socket) => {
    log.note(connections.size);
    if (!connections.admit(socket) && !reserve.admit(socket)) socket.destroy();
  });
  server.addHook('onRequest', (request, reply, done) => {
    const { socket } = request.raw;
    if (reserve.has(socket)) {
      // There may be room by now.
      if (connections.admit(socket)) reserve.forget(socket);
      else void reply.header('connection', 'close');
    }
    if (reserve.has(socket) && !isProbe(request.url)) {
      done(new AppError('unavailable', 'All connections are in use; try again.', { headers: { connection: 'close' } }));
      return;
    }
    connections.begin(request);
    reserve.begin(request);
    done();
  });
  server.addHook('onResponse', (request, _reply, done) => {
    connections.end(request);
    reserve.end(request);
    done();
  });
}

/** What a connection has under way; the last of it, where clients do not wait for an answer, is its newest. */
interface Connection {
  requests: number;
  newest?: FastifyRequest;
  wasAnswered: boolean;
}

class Connections {
  /** The one whose last answer, or whose beginning, was the longest ago is the first. */
  private readonly open = new Map<Socket, Connection>();
  private readonly newcomers: number;

  constructor(private readonly max: number) {
    this.newcomers = Math.min(NEWCOMERS, max >> 1);
  }

  get size(): number {
    return this.open.size;
  }

  has(socket: Socket): boolean {
    return this.open.has(socket);
  }

  /** Takes a connection, where there is room for it or another one gives way; whether it did. */
  admit(socket: Socket): boolean {
    if (this.open.size >= this.max) {
      const replaced = this.leastWorthy();
      if (!replaced) return false;
      this.forget(replaced);
      replaced.destroy();
    }
    this.open.set(socket, { requests: 0, wasAnswered: false });
    socket.once('close', () => this.forget(socket));
    return true;
  }

  forget(socket: Socket): void {
    this.open.delete(socket);
  }

  begin(request: FastifyRequest): void {
    const connection = this.open.get(request.raw.socket);
    if (!connection) return;
    connection.requests++;
    connection.newest = request;
  }

  end({ raw: { socket } }: FastifyRequest): void {
    const connection = this.open.get(socket);
    // Gone already, and its answer with it.
    if (!connection) return;
    this.open.delete(socket);
    this.open.set(socket, { requests: connection.requests - 1, wasAnswered: true });
  }

  private leastWorthy(): Socket | undefined {
    let silent: Socket | undefined;
    let silentCount = 0;
    let idle: Socket | undefined;
    for (const [socket, { requests, wasAnswered }] of this.open) {
      if (requests > 0) continue;
      if (wasAnswered) idle ??= socket;
      else {
        silent ??= socket;
        silentCount++;
      }
    }
    return silentCount > this.newcomers ? silent : (idle ?? this.slowest() ?? silent);
  }

  // Of an upload alone: behind another request its connection owes an answer.
  private slowest(): Socket | undefined {
    let slowest: Socket | undefined;
    let most = SLOW_MS;
    for (const [socket, { requests, newest }] of this.open) {
      const behindMs = requests === 1 ? (newest?.bodyDeadline?.behindMs ?? 0) : 0;
      if (behindMs < most) continue;
      slowest = socket;
      most = behindMs;
    }
    return slowest;
  }
}

/** Tells that all connections are in use, once until a tenth of them is free again. */
class FullLog {
  private isFull = false;

  constructor(
    private readonly max: number,
    private readonly log: FastifyBaseLogger,
  ) {}

  note(open: number): void {
    if (open < this.max * RELIEF) this.isFull = false;
    if (open < this.max || this.isFull) return;
    this.isFull = true;
    this.log.warn(
      `all ${this.max} connections are in use (MAX_CONNECTIONS): new ones replace idle ones and slow uploads, or get 503`,
    );
  }
}
