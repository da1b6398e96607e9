import { connect, type Socket } from 'node:net';

/** Connections on which nobody says anything, from the start; the oldest goes when there is one more. */
const MAX_SILENT = 40;

/** Clients that behave badly: each connection is cut by them, or in the end by the service. */
export class RudeClients {
  private readonly silent = new Set<Socket>();

  constructor(private readonly url: string) {
    while (this.silent.size < MAX_SILENT) this.staySilent();
  }

  /** Connects and says nothing. */
  staySilent(): void {
    const socket = this.open();
    this.silent.add(socket);
    socket.once('close', () => this.silent.delete(socket));
    const [oldest] = this.silent;
    if (this.silent.size > MAX_SILENT) oldest?.destroy();
  }

  /** Sends `text`, half a request or a whole one, and is gone without waiting for an answer. */
  leaveAfter(text: string): Promise<void> {
    return new Promise((resolve) => {
      const socket = this.open();
      socket.once('close', () => resolve());
      socket.write(text, () => socket.destroy());
    });
  }

  /** Asks for something large and is gone at the first bytes of the answer; returns its first line. */
  leaveWithinAnswer(target: string): Promise<string> {
    return new Promise((resolve) => {
      const socket = this.open();
      let answer = '';
      socket.once('close', () => resolve(answer.split('\r\n', 1)[0] ?? ''));
      socket.once('data', (bytes) => {
        answer = bytes.toString('latin1');
        socket.resetAndDestroy();
      });
      socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    });
  }

  close(): void {
    for (const socket of this.silent) socket.destroy();
  }

  private open(): Socket {
    const { hostname, port } = new URL(this.url);
    // What becomes of the connection is told by 'close'.
    return connect(Number(port), hostname).on('error', () => undefined);
  }
}
