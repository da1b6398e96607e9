import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Milliseconds between two looks at the answers that are being read; who read nothing in between is cut off. */
const ANSWER_TIMEOUT_MS = 15_000;

/**
 * Limits the time in which an answer is read: what was made for a client that reads nothing would stay in memory.
 *
 * @param timeoutMs milliseconds without a byte written, of an answer that waits to be; at most twice as many
 */
export function limitAnswerTime(server: FastifyInstance, timeoutMs = ANSWER_TIMEOUT_MS): void {
  /** Bytes that the system had taken of each connection at the last look. */
  const connections = new Map<Socket, number>();
  server.server.on('connection', (socket: Socket) => {
    connections.set(socket, -1);
    socket.once('close', () => connections.delete(socket));
  });
  // Not the timer of the socket: whatever the client sends, if only empty lines, starts that one anew.
  const timer = setInterval(() => {
    for (const [socket, before] of connections) {
      const sent = sentBytes(socket);
      if (socket.writableLength > 0 && sent === before) socket.destroy();
      else connections.set(socket, sent);
    }
  }, timeoutMs).unref();
  server.addHook('onClose', (_server, done) => {
    clearInterval(timer);
    done();
  });
}

// A large write is given to the system bit by bit, which only the handle tells.
function sentBytes(socket: Socket & { _handle?: { bytesWritten: number; writeQueueSize: number } | null }): number {
  return (socket._handle?.bytesWritten ?? 0) - (socket._handle?.writeQueueSize ?? 0);
}
