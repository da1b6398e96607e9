import { createServer, type AddressInfo, type Server } from 'node:net';
import { testEnvironment } from '../../../../test/support/environment';
import { ReservedConnection } from './reserved-connection';
import type { Connection } from './statement';

/** A server that refuses every connection with an SQLSTATE (PostgreSQL manual, "Message Formats": ErrorResponse). */
async function startRefusing(code: string): Promise<Server> {
  const server = createServer((socket) => {
    const fields = Buffer.from(`SFATAL\0C${code}\0Mrefused\0\0`);
    const length = Buffer.alloc(4);
    length.writeInt32BE(fields.length + 4);
    socket
      .on('error', () => undefined)
      .once('data', () => socket.end(Buffer.concat([Buffer.from('E'), length, fields])));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

describe('ReservedConnection', () => {
  const connections: ReservedConnection[] = [];
  const servers: Server[] = [];
  const query = jest.fn(() => Promise.resolve({ rows: [{ one: 'of the pool' }] }));
  const fallback = { query } as unknown as Connection;

  afterEach(async () => {
    for (const connection of connections.splice(0)) await connection.close();
    for (const server of servers.splice(0)) server.close();
    query.mockClear();
  });

  function connect(connectionString: string): ReservedConnection {
    const connection = new ReservedConnection({ connectionString, min: 1, max: 1 }, () => fallback);
    connections.push(connection);
    return connection;
  }

  async function refused(code: string): Promise<ReservedConnection> {
    const server = await startRefusing(code);
    servers.push(server);
    return connect(`postgres://user@127.0.0.1:${(server.address() as AddressInfo).port}/none`);
  }

  it('is one connection, made anew when it broke', async () => {
    const connection = connect(testEnvironment().postgresUrl);
    const pid = async (): Promise<number | undefined> =>
      (await connection.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' })).rows[0]?.pid;
    const pids = await Promise.all([pid(), pid(), pid()]);
    expect(new Set(pids).size).toBe(1);
    await connection.query({ text: 'SELECT pg_terminate_backend(pg_backend_pid())' }).catch(() => undefined);
    expect(await pid()).not.toBe(pids[0]);
    expect(query).not.toHaveBeenCalled();
  });

  it('may be closed more than once', async () => {
    const connection = connect(testEnvironment().postgresUrl);
    await connection.query({ text: 'SELECT 1' });
    await connection.close();
    await expect(connection.close()).resolves.toBeUndefined();
  });

  it('falls back to others while the server has no connection left', async () => {
    const connection = await refused('53300');
    expect(await connection.query({ text: 'SELECT 1' })).toEqual({ rows: [{ one: 'of the pool' }] });
  });

  it('fails where the server cannot be used at all', async () => {
    const connection = await refused('57P03');
    await expect(connection.query({ text: 'SELECT 1' })).rejects.toMatchObject({ code: '57P03' });
    expect(query).not.toHaveBeenCalled();
  });
});
