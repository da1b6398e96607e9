import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { useStops } from '../../support/stops';

/** What a network does to the bytes of all connections, old and new. */
export type NetworkCondition =
  | { kind: 'clear' }
  /** Every piece arrives `ms` milliseconds later, each way, and up to `jitterMs` more by chance; the order stays. */
  | { kind: 'delay'; ms: number; jitterMs?: number }
  /** So many bytes a second pass on each connection, each way. */
  | { kind: 'throttle'; bytesPerSecond: number }
  /** Connections are taken, and nothing arrives until it clears: TCP sends again what was dropped. */
  | { kind: 'black hole' }
  /** Connections are reset (RST), new ones too. */
  | { kind: 'reset' };

/** What cuts a network off, by the words of a test. */
export const CUTS: [name: string, condition: NetworkCondition][] = [
  ['lets nothing through', { kind: 'black hole' }],
  ['resets connections', { kind: 'reset' }],
];

/** A TCP proxy on a port of the loopback, between the service and what it depends on. */
export interface TcpProxy {
  /** `url` with the address of the proxy. */
  through(url: string): string;
  /** Changes the network from now on. */
  set: (condition: NetworkCondition) => void;
  stop: () => Promise<void>;
}

/** Starts a proxy to the server of a URL. */
async function startTcpProxy(target: string): Promise<TcpProxy> {
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
  private held: { deliver: () => void; bytes: number }[] = [];

  change(condition: NetworkCondition): void {
    this.condition = condition;
    for (const { deliver, bytes } of this.held.splice(0)) this.pass(deliver, bytes);
  }

  /** Delivers a piece of so many bytes when the network lets it through. */
  pass(deliver: () => void, bytes: number): void {
    const { condition } = this;
    if (condition.kind === 'black hole') this.held.push({ deliver, bytes });
    else if (condition.kind === 'delay') setTimeout(deliver, condition.ms + Math.random() * (condition.jitterMs ?? 0));
    else if (condition.kind === 'throttle') setTimeout(deliver, (1000 * bytes) / condition.bytesPerSecond);
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
  let last = Promise.resolve();
  const stream = new Transform({
    // Taken at once: delays of pieces in a row do not add up, unlike what a small bandwidth takes.
    transform: (chunk: Buffer, _encoding, done) => {
      const pass = (): Promise<void> => new Promise((resolve) => network.pass(resolve, chunk.length));
      const passed = network.condition.kind === 'throttle' ? last.then(pass) : pass();
      last = Promise.all([last, passed]).then(() => void stream.push(chunk));
      done();
    },
    flush: (done) => void last.then(() => done()),
  });
  return stream;
}

/** Starts proxies to the servers of URLs for the tests of a file or a `describe`: they are stopped after each. */
export function useTcpProxies(): typeof startTcpProxy {
  const stops = useStops();
  return async (target) => {
    const proxy = await startTcpProxy(target);
    stops.push(proxy.stop);
    return proxy;
  };
}
