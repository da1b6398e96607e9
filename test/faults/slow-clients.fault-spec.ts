import { once } from 'node:events';
import { connect } from 'node:net';
import { linesWith, useProcesses, type ApiProcess } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { EVENT, type ProblemBody } from '../support/events';
import { send } from '../support/http';
import { until } from '../support/services';
import { useStops } from '../support/stops';
import { lockEvents } from '../support/table-lock';
import { useLoads } from './support/load';
import { record, type Measurement } from './support/measurements';
import { RawClients } from './support/raw-clients';
import { openSockets, peakMemory, residentMemory } from './support/process-figures';

/** Longer than any time limit on a client (30 s) and the pause between two looks at it (5 s). */
const PATIENCE_MS = 60_000;

/** Connections to PostgreSQL at most. */
const POOL = 10;

const MEBIBYTE = 1024 ** 2;
/** 20 MB of events: no buffer of the system takes an answer of half of them. */
const LARGE_EVENTS = `INSERT INTO system_events (event_type, severity, message, details)
  SELECT 'large', 'info', 'unread', jsonb_build_object('text', repeat('x', 20000)) FROM generate_series(1, 1000)`;

/** Answered with 10 MB of them. */
const LARGE_LIST = '/api/events?event_type=large&limit=500';

/** The whole request, or the only line of a file. */
const REFUSED = /^HTTP\/1\.1 413 |"status":413/;

const HEAD = 'POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';

describe('clients', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();
  const startLoad = useLoads();
  const stops = useStops();

  async function start(variables: Record<string, string> = {}): Promise<{ api: ApiProcess; url: string }> {
    const { url } = await createDatabase();
    return { api: await launch({ DATABASE_URL: url, CACHE: 'off', ...variables }).listening(), url };
  }

  function openClients(api: ApiProcess): RawClients {
    const clients = new RawClients(api.url);
    stops.unshift(() => clients.close());
    return clients;
  }

  /** Stores some events, and expects that they are stored. */
  async function load(api: ApiProcess, url: string, count: number): Promise<Measurement> {
    const load = startLoad(api);
    await load.more(count);
    await load.stop();
    expect([...load.statuses.keys()]).toEqual([201]);
    return load.expectNothingLost(url);
  }

  const post = (api: ApiProcess): ReturnType<typeof send<ProblemBody>> =>
    send('POST', `${api.url}/api/events`, { json: EVENT });

  it('that say nothing, send a byte a second or read nothing hold nobody up, and are cut off', async () => {
    const { api, url } = await start();
    await query(url, LARGE_EVENTS);
    const load = startLoad(api);
    await load.more(100);
    const before = await residentMemory(api.child);
    const sockets = await openSockets(api.child);
    const [silent, heads, bodies] = [openClients(api), openClients(api), openClients(api)];
    await silent.add(250);
    await heads.add(250, { first: 'GET /api/events HTTP/1.1\r\n', dripping: 'X-Slow: loris\r\n' });
    await bodies.add(250, { first: `${HEAD}Content-Length: 1000\r\n\r\n`, dripping: ' ' });
    for (const path of [LARGE_LIST, '/api/events/export?format=csv']) {
      await openClients(api).add(20, { first: `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`, reads: false });
    }
    const during = load.acknowledged.length;
    await until(
      () => silent.size + heads.size + bodies.size === 0,
      'those who send too slowly are cut off',
      PATIENCE_MS,
    );
    // Who reads nothing does not see it; the pool may have grown meanwhile.
    const left = async (): Promise<number> => (await openSockets(api.child)) - sockets;
    await until(async () => (await left()) <= POOL, 'those who do not read are cut off', PATIENCE_MS);
    expect(load.acknowledged.length).toBeGreaterThan(during);
    await load.stop();
    expect([...load.statuses.keys()]).toEqual([201]);
    const timedOut = new Map([[408, 250]]);
    expect([silent.statuses, heads.statuses, bodies.statuses]).toEqual([timedOut, timedOut, timedOut]);
    const longest = Math.max(silent.longestMs, heads.longestMs, bodies.longestMs);
    const grown = (await residentMemory(api.child)) - before;
    record({
      rounds: 790,
      ...(await load.expectNothingLost(url)),
      also: `cut off after at most ${Math.round(longest / 1000)} s; ${grown} MiB more of memory`,
    });
  });

  it('that begin more large bodies than are kept at once get 503, and small events are stored meanwhile', async () => {
    const { api, url } = await start();
    const before = await residentMemory(api.child);
    const clients = openClients(api);
    const length = 16 * MEBIBYTE;
    const head = HEAD.replace('/events', '/events/batch');
    await clients.add(300, { first: `${head}Content-Length: ${length}\r\n\r\n${' '.repeat(length / 8)}` });
    await until(() => (clients.statuses.get(503) ?? 0) > 0, 'some are refused', PATIENCE_MS);
    const load = startLoad(api);
    await load.more(100);
    const grown = (await residentMemory(api.child)) - before;
    expect(grown).toBeLessThan(400);
    await load.stop();
    expect([...load.statuses.keys()]).toEqual([201]);
    const refused = clients.statuses.get(503);
    clients.close();
    const batch = JSON.stringify(Array.from({ length: 1000 }, () => ({ ...EVENT, message: 'x'.repeat(1000) })));
    const headers = { 'content-type': 'application/json' };
    const stored = async (): Promise<boolean> =>
      (await send('POST', `${api.url}/api/events/batch`, { body: batch, headers })).status === 200;
    await until(stored, 'a large body is read again');
    record({
      rounds: 300,
      ...(await load.expectNothingLost(url)),
      also: `600 MiB sent, ${grown} MiB more of memory, ${refused} refused`,
    });
  });

  it('that read nothing of more large answers than are kept at once are cut off; others get 503 until then', async () => {
    const { api, url } = await start();
    await query(url, LARGE_EVENTS);
    const list = (): ReturnType<typeof send> => send('GET', `${api.url}${LARGE_LIST}`);
    expect((await list()).status).toBe(200);
    const before = await residentMemory(api.child);
    await openClients(api).add(100, { first: `GET ${LARGE_LIST} HTTP/1.1\r\nHost: localhost\r\n\r\n`, reads: false });
    await until(() => refusals(api).length > 0, 'too many are under way');
    expect((await list()).status).toBe(503);
    const load = startLoad(api);
    await load.more(100);
    expect((await send('GET', `${api.url}/api/events?limit=3`)).status).toBe(200);
    const grown = (await residentMemory(api.child)) - before;
    expect(grown).toBeLessThan(800);
    const refused = performance.now();
    await until(async () => (await list()).status === 200, 'large answers are sent again', PATIENCE_MS);
    const recoveryMs = [performance.now() - refused];
    await load.stop();
    expect([...load.statuses.keys()]).toEqual([201]);
    expect(refusals(api)).toHaveLength(1);
    record({ rounds: 100, recoveryMs, ...(await load.expectNothingLost(url)), also: `${grown} MiB more of memory` });
  });

  it.each(['/api/events', '/api/events/batch', '/api/events/import'])(
    'that send a body of 1 GiB to %s are told when it is too much, and nothing of it is kept',
    async (path) => {
      const { api, url } = await start();
      await load(api, url, 50);
      const before = await residentMemory(api.child);
      const { answer, sent } = await sendGibibyte(api.url, path);
      expect(answer).toMatch(REFUSED);
      const grown = (await residentMemory(api.child)) - before;
      expect(grown).toBeLessThan(150);
      record({ rounds: 1, ...(await load(api, url, 50)), also: `${sent} MiB sent; ${grown} MiB more of memory` });
    },
  );

  it('that send each byte of an import as a chunk take no more memory than what they send', async () => {
    const { api, url } = await start();
    await load(api, url, 50);
    const before = await peakMemory(api.child);
    const answers = await Promise.all(Array.from({ length: 8 }, () => sendBytes(api.url, 200_000)));
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 200 .*"rejected":1,/s);
    const grown = (await peakMemory(api.child)) - before;
    expect(grown).toBeLessThan(200);
    record({
      rounds: 8,
      ...(await load(api, url, 50)),
      also: `200,000 chunks each; ${grown} MiB more of memory at most`,
    });
  });

  it('that take every connection and say nothing give way, also to each other', async () => {
    const { api, url } = await start({ MAX_CONNECTIONS: '100' });
    const clients = openClients(api);
    await clients.add(200);
    await until(() => clients.size === 100, 'the others are closed');
    const load = startLoad(api);
    for (let round = 0; round < 10; round++) {
      await load.more(50);
      await clients.add(100);
    }
    await load.stop();
    expect(load.wrong).toEqual([]);
    expect(warnings(api).length).toBeGreaterThan(0);
    record({
      rounds: 1200,
      ...(await load.expectNothingLost(url)),
      also: `100 connections allowed; ${load.statuses.get(0) ?? 0} requests cut off`,
    });
  });

  it('that wait for answers on every connection keep theirs, and newcomers are turned away until one is free', async () => {
    const { api, url } = await start({
      MAX_CONNECTIONS: '10',
      DATABASE_POOL_MAX: '10',
      DATABASE_STATEMENT_TIMEOUT_MS: '60000',
    });
    const lock = await lockEvents({ databaseUrl: url });
    try {
      // Single events have no quota of the pool, and each has a load of its own.
      const waiting = Array.from({ length: 10 }, (_, place) => send('GET', `${api.url}/api/events/${10_000 + place}`));
      await lock.waiters(10);
      expect((await post(api)).status).toBe(503);
      expect((await send('GET', `${api.url}/health/live`)).status).toBe(200);
      await lock.release();
      expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual(Array(10).fill(404));
    } finally {
      await lock.release();
    }
    expect((await post(api)).status).toBe(201);
    expect(warnings(api)).toHaveLength(1);
    record({ rounds: 1, requests: 13, also: '10 connections allowed, and 10 more for probes' });
  });

  const refusals = (api: ApiProcess): string[] => linesWith(api, 'Too many large answers');
  const warnings = (api: ApiProcess): string[] => linesWith(api, 'MAX_CONNECTIONS');
});

/** Sends one line of a GiB in chunks, and reads what the server says; `sent` in MiB. */
async function sendGibibyte(url: string, path: string): Promise<{ answer: string; sent: number }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setEncoding('latin1');
  let answer = '';
  socket.on('data', (text: string) => (answer += text)).on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const moved = (): Promise<unknown> => Promise.race([closed, new Promise((resolve) => socket.once('drain', resolve))]);
  const type = path.endsWith('import') ? 'application/x-ndjson' : 'application/json';
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  let sent = 0;
  for (; sent < 1024 && !socket.destroyed; sent++) {
    if (!socket.write(`${MEBIBYTE.toString(16)}\r\n${'x'.repeat(MEBIBYTE)}\r\n`)) await moved();
  }
  socket.write('0\r\n\r\n');
  try {
    await until(() => REFUSED.test(answer) || socket.destroyed, 'it is answered');
  } finally {
    socket.destroy();
  }
  return { answer, sent };
}

/** Imports one line of so many bytes, in chunks of one byte each. */
async function sendBytes(url: string, count: number): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setEncoding('latin1');
  let answer = '';
  socket.on('data', (text: string) => (answer += text));
  socket.write(
    'POST /api/events/import HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n' +
      'Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  for (let sent = 0; sent < count; sent += 10_000) {
    if (!socket.write('1\r\nx\r\n'.repeat(10_000))) await once(socket, 'drain');
  }
  socket.write('0\r\n\r\n');
  await once(socket, 'close');
  return answer;
}
