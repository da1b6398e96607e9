import { connect, type Socket } from 'node:net';

/** How a client behaves that no client should be. */
export interface Behaviour {
  /** Sent at once. */
  first?: string;
  /** Sent byte by byte after that, one each second, over and over. */
  dripping?: string;
  /** Whether it reads what it is sent. */
  reads?: boolean;
}

/** Characters of an answer up to its status. */
const STATUS_LINE = 'HTTP/1.1 200'.length;

/** Bare connections to one server, as many as a test wants, and what became of them. */
export class RawClients {
  /** How often each status was answered; 0 is a connection that was closed without an answer. */
  readonly statuses = new Map<number, number>();
  /** Milliseconds that the longest of the closed ones was open. */
  longestMs = 0;
  private readonly open = new Set<Socket>();
  private readonly timers: NodeJS.Timeout[] = [];

  constructor(private readonly url: string) {}

  /** Those that are still open. */
  get size(): number {
    return this.open.size;
  }

  /** Opens `count` connections; resolves when all are there. */
  async add(count: number, behaviour: Behaviour = {}): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.addOne(behaviour)));
  }

  /** Closes all that are left. */
  close(): void {
    for (const timer of this.timers) clearInterval(timer);
    for (const socket of this.open) socket.destroy();
  }

  private addOne({ first = '', dripping = '', reads = true }: Behaviour): Promise<void> {
    const { hostname, port } = new URL(this.url);
    const start = performance.now();
    let answer = '';
    let isCounted = false;
    const count = (status: number): void => {
      if (!isCounted) this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
      isCounted = true;
    };
    const socket = connect(Number(port), hostname).setEncoding('latin1');
    this.open.add(socket);
    // Where nobody listens, nothing is read: the socket's buffers fill up.
    if (reads) {
      socket.on('data', (text: string) => {
        answer += text.slice(0, STATUS_LINE - answer.length);
        const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1];
        if (status !== undefined) count(Number(status));
      });
    }
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.open.delete(socket);
      this.longestMs = Math.max(this.longestMs, performance.now() - start);
      count(0);
    });
    return new Promise((resolve) => {
      socket.once('close', resolve).once('connect', () => {
        if (first !== '') socket.write(first);
        if (dripping !== '') this.drip(socket, dripping);
        resolve();
      });
    });
  }

  private drip(socket: Socket, text: string): void {
    let at = 0;
    const timer = setInterval(() => socket.write(text[at++ % text.length] ?? ''), 1000);
    this.timers.push(timer);
    socket.once('close', () => clearInterval(timer));
  }
}
