import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver';
import { createEvent, startEmptyApp } from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';

describe('a large export', () => {
  const EVENTS = 600;
  let api: TestApp;
  /** Times that a statement was given a connection. */
  let statements = 0;

  beforeAll(async () => {
    api = await startEmptyApp();
    // 64 KiB each that compression can only halve: more than all buffers between the service and a client hold.
    await api.sql(
      `INSERT INTO system_events (event_type, severity, message, details, "timestamp")
      SELECT 'x', 'info', 'm', jsonb_build_object('x', (SELECT string_agg(md5(n || ' ' || k), '') FROM generate_series(1, 2048) k)),
        'epoch'::timestamptz + n * interval '1 s'
      FROM generate_series(1, $1::int) n`,
      [EVENTS],
    );
    const pool = (api.app.get(DataSource).driver as PostgresDriver).master as NodeJS.EventEmitter;
    pool.on('acquire', () => statements++);
  });

  beforeEach(() => {
    statements = 0;
  });

  afterAll(() => api.close());

  /** An export of which the first bytes have come, and no more is taken. */
  async function begin(headers: Record<string, string> = {}): Promise<IncomingMessage> {
    const request = get(`${api.url}/api/events/export`, { headers, agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    await once(response, 'readable');
    return response;
  }

  /** How many statements there were once no more come: other requests in between give them time. */
  async function statementsAtRest(): Promise<number> {
    for (let seen = -1; seen !== statements;) {
      seen = statements;
      for (let round = 0; round < 30; round++) await send('GET', `${api.url}/health/live`);
    }
    return statements;
  }

  const countLines = async (stream: NodeJS.ReadableStream): Promise<number> =>
    (await readText(stream)).split('\n').length - 1;

  it.each(['identity', 'gzip'])('is read no faster than the client takes it: %s', async (encoding) => {
    const response = await begin({ 'accept-encoding': encoding });
    expect(response.headers['content-encoding'] ?? 'identity').toBe(encoding);
    const untilFull = await statementsAtRest();
    const lines = await countLines(encoding === 'gzip' ? response.pipe(createGunzip()) : response);
    expect(lines).toBe(EVENTS);
    expect(untilFull).toBeLessThan(statements - 5);
  });

  it('ends when the client leaves', async () => {
    const response = await begin();
    const untilFull = await statementsAtRest();
    response.destroy();
    await statementsAtRest();
    // The page that was being read, and what the service does beside.
    expect(statements).toBeLessThanOrEqual(untilFull + 5);
    const complete = statements;
    await countLines(await begin());
    expect(statements - complete).toBeGreaterThan(untilFull + 5);
  });

  it('holds what was stored when it began', async () => {
    const response = await begin();
    await statementsAtRest();
    await createEvent(api, { timestamp: '2026-01-31T00:00:00Z' });
    await api.sql(`DELETE FROM system_events WHERE "timestamp" = 'epoch'::timestamptz + interval '600 s'`);
    const text = await readText(response);
    expect(text.split('\n').length - 1).toBe(EVENTS - 1);
    expect(text).not.toContain('deployment');
  });

  it.each(['identity', 'gzip'])('breaks the connection on a fault in the middle: %s', async (encoding) => {
    const response = await begin({ 'accept-encoding': encoding });
    await statementsAtRest();
    await api.sql('ALTER TABLE system_events RENAME TO elsewhere');
    try {
      await expect(readText(response)).rejects.toMatchObject({ code: 'ECONNRESET' });
      expect(response.complete).toBe(false);
    } finally {
      await api.sql('ALTER TABLE elsewhere RENAME TO system_events');
    }
    expect((await send('GET', `${api.url}/api/events?limit=1`)).status).toBe(200);
  });

  it('reads a few large events at once, also behind many small ones', async () => {
    await api.sql(`
      INSERT INTO system_events (event_type, severity, message, "timestamp")
      SELECT 'small', 'info', 'm', 'epoch'::timestamptz - n * interval '1 s' FROM generate_series(1, 2000) n`);
    expect(await countLines(await begin())).toBeGreaterThan(2000 + EVENTS / 2);
    // At 1 MiB, 16 of the large ones; as many as of the small ones would take some ten statements.
    expect(statements).toBeGreaterThan(EVENTS / 17);
  });

  it('reads nothing more for HEAD than its first page', async () => {
    expect((await send('HEAD', `${api.url}/api/events/export`)).status).toBe(200);
    expect(await statementsAtRest()).toBeLessThanOrEqual(5);
  });
});
