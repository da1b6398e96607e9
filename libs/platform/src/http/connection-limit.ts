import type { Socket } from 'node:net';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';

/** Of the limit: once so few connections are open, reaching it again is worth another line in the log. */
const RELIEF = 0.9;

/**
 * Limits how many connections are open at once. Beyond `max` a new one takes the place of one that waits for a request:
 * of the oldest that never made one, so that clients which say nothing, or too slowly, hold nobody up, else of the one
 * that has been idle for the longest. Where every connection waits for an answer, it is the new one that is closed.
 *
 * @param max connections, with those that are kept alive
 */
export function limitConnections(server: FastifyInstance, max: number): void {
  const connections = new Connections(max, server.log);
  // Before Node's own listener: it should not begin to read from a connection that is closed at once.
  server.server.prependListener('connection', (socket: Socket) => connections.admit(socket));
  server.addHook('onRequest', (request, _reply, done) => {
    connections.begin(request.raw.socket);
    done();
  });
  server.addHook('onResponse', (request, _reply, done) => {
    connections.end(request.raw.socket);
    done();
  });
}

interface Connection {
  /** Under way. */
  requests: number;
  wasAnswered: boolean;
}

class Connections {
  /** The one whose last answer, or whose beginning, was the longest ago is the first. */
  private readonly open = new Map<Socket, Connection>();
  private isFull = false;

  constructor(
    private readonly max: number,
    private readonly log: FastifyBaseLogger,
  ) {}

  admit(socket: Socket): void {
    if (this.open.size >= this.max) {
      this.warn();
      const replaced = this.mostIdle() ?? socket;
      this.forget(replaced);
      replaced.destroy();
      if (replaced === socket) return;
    }
    this.open.set(socket, { requests: 0, wasAnswered: false });
    socket.once('close', () => this.forget(socket));
  }

  begin(socket: Socket): void {
    const connection = this.open.get(socket);
    if (connection) connection.requests++;
  }

  end(socket: Socket): void {
    const connection = this.open.get(socket);
    // Gone already, and its answer with it.
    if (!connection) return;
    this.open.delete(socket);
    this.open.set(socket, { requests: connection.requests - 1, wasAnswered: true });
  }

  private forget(socket: Socket): void {
    this.open.delete(socket);
    if (this.open.size < this.max * RELIEF) this.isFull = false;
  }

  private mostIdle(): Socket | undefined {
    let idle: Socket | undefined;
    for (const [socket, { requests, wasAnswered }] of this.open) {
      if (requests > 0) continue;
      if (!wasAnswered) return socket;
      idle ??= socket;
    }
    return idle;
  }

  private warn(): void {
    if (this.isFull) return;
    this.isFull = true;
    this.log.warn(
      `all ${this.max} connections are in use (MAX_CONNECTIONS): new ones replace idle ones, or are closed`,
    );
  }
}
