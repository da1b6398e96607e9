import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { json as readJson } from 'node:stream/consumers';
import { Client } from 'pg';
import { countEvents, EVENT, startEmptyApp, type ProblemBody } from '../support/events';
import { send } from '../support/http';
import { until } from '../support/services';
import type { TestApp } from '../support/test-app';
import { MEDIA_TYPES } from '../support/transfer';

describe('an import that takes its time', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  beforeEach(() => api.sql('TRUNCATE system_events'));

  afterAll(() => api.close());

  const LINE = `${JSON.stringify(EVENT)}\n`;

  function open(): ClientRequest {
    const headers = { 'content-type': MEDIA_TYPES.ndjson };
    const upload = request(`${api.url}/api/events/import`, { method: 'POST', headers, agent: false });
    upload.on('error', () => undefined);
    return upload;
  }

  const answerTo = async (upload: ClientRequest): Promise<{ status?: number; body: unknown }> => {
    const [response] = (await once(upload, 'response')) as [IncomingMessage];
    return { status: response.statusCode, body: await readJson(response) };
  };

  it('stores what has come before the rest is sent', async () => {
    const upload = open();
    upload.write(LINE.repeat(501));
    await until(async () => (await countEvents(api)) === 500, 'the first batch is stored');
    upload.end(LINE.repeat(2));
    expect(await answerTo(upload)).toEqual({ status: 200, body: { imported: 503, rejected: 0, errors: [] } });
  });

  it('ends when the client leaves', async () => {
    const upload = open();
    upload.write(LINE.repeat(510));
    await until(async () => (await countEvents(api)) === 500, 'the first batch is stored');
    upload.destroy();
    await until(async () => (await countEvents(api)) === 510, 'what had come is stored');
    expect((await send('GET', `${api.url}/health/live`)).status).toBe(200);
  });

  it('answers 503 when the database goes away, and tells what it stored', async () => {
    const upload = open();
    upload.write(LINE.repeat(500));
    await until(async () => (await countEvents(api)) === 500, 'the first batch is stored');
    await api.sql('ALTER TABLE system_events RENAME TO elsewhere');
    try {
      upload.write(LINE.repeat(500));
      const { status, body } = await answerTo(upload);
      expect([status, (body as ProblemBody).detail]).toEqual([
        503,
        expect.stringMatching(/database.* 500 events were imported and 0 rejected before\.$/),
      ]);
    } finally {
      upload.destroy();
      await api.sql('ALTER TABLE elsewhere RENAME TO system_events');
    }
    expect(await countEvents(api)).toBe(500);
  });

  it('waits while a batch is stored', async () => {
    const lock = new Client({ connectionString: api.databaseUrl });
    await lock.connect();
    const upload = open();
    const megabyte = LINE.repeat(Math.ceil(1024 ** 2 / LINE.length));
    let written = 0;
    try {
      await lock.query('BEGIN; LOCK TABLE system_events IN ACCESS EXCLUSIVE MODE');
      const fill = async (): Promise<void> => {
        for (; written < 64; written++) if (!upload.write(megabyte)) await once(upload, 'drain');
      };
      const filling = fill().catch(() => undefined);
      let before = -1;
      while (before !== written) {
        before = written;
        for (let round = 0; round < 30; round++) await send('GET', `${api.url}/health/live`);
      }
      // What the buffers of both ends hold.
      expect(written).toBeLessThan(32);
      upload.destroy();
      await lock.query('ROLLBACK');
      await filling;
    } finally {
      upload.destroy();
      await lock.end();
    }
    await until(async () => (await countEvents(api)) > 0, 'the import goes on to its end');
  });

  it('keeps no more of a line than it may be long', async () => {
    const upload = open();
    upload.write(`${LINE}{"message":"`);
    const part = 'x'.repeat(1024 ** 2);
    const before = process.memoryUsage().arrayBuffers;
    for (let sent = 0; sent < 200; sent++) if (!upload.write(part)) await once(upload, 'drain');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 1024 ** 2);
    upload.end(`"}\n${LINE}`);
    expect(await answerTo(upload)).toMatchObject({
      status: 200,
      body: { imported: 2, rejected: 1, errors: [{ index: 1, line: 2, status: 413 }] },
    });
  });
});
