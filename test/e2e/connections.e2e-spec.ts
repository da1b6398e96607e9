import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { startEmptyApp } from '../support/events';
import { requestRaw } from '../support/raw-http';
import { until } from '../support/services';
import type { TestApp } from '../support/test-app';

/** The fewest that may be set. */
const MAX = 10;

const UPLOAD = [
  'POST /api/events/import HTTP/1.1',
  'Host: localhost',
  'Content-Type: application/x-ndjson',
  'Transfer-Encoding: chunked',
  'Expect: 100-continue',
  '',
  '1\r\nx\r\n',
].join('\r\n');

describe('uploads that trickle on every connection', () => {
  let api: TestApp;
  const clients: Socket[] = [];

  beforeAll(async () => {
    api = await startEmptyApp({ MAX_CONNECTIONS: String(MAX) });
  });

  beforeEach(async () => {
    const { hostname, port } = new URL(api.url);
    for (let count = 0; count < MAX; count++) {
      const client = connect(Number(port), hostname).on('error', () => undefined);
      clients.push(client);
      client.write(UPLOAD);
      const [taken] = (await once(client, 'data')) as [Buffer];
      expect(String(taken)).toContain(' 100 Continue');
      client.resume();
    }
  });

  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });

  afterAll(() => api.close());

  const get = (path: string): ReturnType<typeof requestRaw> => requestRaw(api.url, 'GET', path);

  it.each(['/health/live', '/health/ready', '/health', '/api/health'])('leave the probes theirs: %s', async (path) => {
    for (let round = 0; round < 3; round++) expect((await get(path)).status).toBe(200);
  });

  it('give way to other requests once they are behind', async () => {
    for (let round = 0; round < MAX; round++) {
      await until(async () => (await get('/api/events')).status === 200, 'one gives way');
    }
    expect(clients.some(({ destroyed }) => destroyed)).toBe(true);
  });
});
