import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Transform } from 'node:stream';

/** What a network does to the bytes of all connections, old and new. */
export type NetworkCondition =
  | { kind: 'clear' }
  /** Every piece arrives this many milliseconds later, each way. */
  | { kind: 'delay'; ms: number }
  /** Connections are taken, and nothing arrives until it clears: TCP sends again what was dropped. */
  | { kind: 'black hole' }
  /** Connections are reset (RST), new ones too. */
  | { kind: 'reset' };

/** A TCP proxy on a port of the loopback, between the service and what it depends on. */
export interface TcpProxy {
  /** `url` with the address of the proxy. */
  through(url: string): string;
  /** Changes the network from now on. */
  set: (condition: NetworkCondition) => void;
  stop: () => Promise<void>;
}

/** Starts a proxy to the server of a URL. */
export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const network = new Network();
  const server = createServer((client) => {
    if (network.condition.kind === 'reset') client.resetAndDestroy();
    else join(client, connect(Number(port), hostname), sockets, network);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    through: (url) => {
      const changed = new URL(url);
      changed.port = String((server.address() as AddressInfo).port);
      return changed.toString();
    },
    set: (next) => {
      network.change(next);
      if (next.kind === 'reset') for (const socket of sockets) socket.resetAndDestroy();
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The network of a proxy, and what waits until it clears. */
class Network {
  condition: NetworkCondition = { kind: 'clear' };
  private held: (() => void)[] = [];

  change(condition: NetworkCondition): void {
    this.condition = condition;
    for (const deliver of this.held.splice(0)) this.pass(deliver);
  }

  pass(deliver: () => void): void {
    if (this.condition.kind === 'black hole') this.held.push(deliver);
    else if (this.condition.kind === 'delay') setTimeout(deliver, this.condition.ms);
    else deliver();
  }
}

function join(client: Socket, upstream: Socket, sockets: Set<Socket>, network: Network): void {
  const pair = [client, upstream] as const;
  for (const socket of pair) {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      sockets.delete(socket);
      for (const each of pair) each.destroy();
    });
  }
  client.pipe(through(network)).pipe(upstream);
  upstream.pipe(through(network)).pipe(client);
}

function through(network: Network): Transform {
  return new Transform({ transform: (chunk: Buffer, _encoding, done) => network.pass(() => done(null, chunk)) });
}
