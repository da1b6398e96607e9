import { Client } from 'pg';
import { databaseName, query } from '../support/databases';
import { testEnvironment } from '../support/environment';
import { countEvents, createEvent, EVENT, expectProblem, startEmptyApp } from '../support/events';
import { send, type Answer } from '../support/http';
import { until } from '../support/services';
import type { TestApp } from '../support/test-app';

const OPERATIONS: [method: string, template: string, json?: unknown][] = [
  ['POST', '/api/events', EVENT],
  ['GET', '/api/events'],
  ['GET', '/api/events?severity=info&limit=1'],
  ['GET', '/api/events/stats'],
  ['GET', '/api/events/type/deployment'],
  ['GET', '/api/events/{id}'],
  ['PUT', '/api/events/{id}', { message: 'changed' }],
  ['PATCH', '/api/events/{id}', { message: 'changed' }],
  ['PATCH', '/api/events/{id}', {}],
  ['DELETE', '/api/events/{id}'],
];

/** Without the cache, which could still answer a read. */
describe('while the database is not available', () => {
  let api: TestApp;
  let id: number;
  let text: string;

  beforeAll(async () => {
    api = await startEmptyApp({ CACHE: 'off', DATABASE_STATEMENT_TIMEOUT_MS: '400' });
    const created = await createEvent(api);
    ({ text } = created);
    ({ id } = created.body);
  });

  afterAll(() => api.close());

  const attempt = ([method, template, json]: (typeof OPERATIONS)[number]): Promise<Answer> =>
    send(method, api.url + template.replace('{id}', String(id)), { json });

  function expectUnavailable(answer: Answer): void {
    expectProblem(answer, 503);
    expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  }

  /** It serves again by itself, and what was refused has not happened. */
  async function expectRecovery(): Promise<void> {
    await until(async () => (await attempt(['GET', '/api/events/{id}'])).status === 200, 'it serves again');
    expect((await attempt(['GET', '/api/events/{id}'])).text).toBe(text);
    expect(await countEvents(api)).toBe(1);
    const { body } = await createEvent(api);
    expect((await send('DELETE', `${api.url}/api/events/${body.id}`)).status).toBe(204);
  }

  /** Ends every connection to the database, and lets new ones in or not. */
  async function allowConnections(allowed: boolean): Promise<void> {
    const { postgresUrl } = testEnvironment();
    const name = databaseName(api.databaseUrl);
    await query(postgresUrl, `ALTER DATABASE ${name} ALLOW_CONNECTIONS ${allowed}`);
    await query(postgresUrl, 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
  }

  describe('because it takes no connections', () => {
    beforeAll(() => allowConnections(false));

    it.each(OPERATIONS)('%s %s answers 503 with Retry-After', async (...operation) => {
      expectUnavailable(await attempt(operation));
    });

    it('still tells what is wrong with a request', async () => {
      expectProblem(await send('GET', `${api.url}/api/events?limit=0`), 422);
      expectProblem(await send('POST', `${api.url}/api/events`, { json: {} }), 422);
      expectProblem(await send('PUT', `${api.url}/api/events`), 405);
    });

    it('serves again by itself once it is back', async () => {
      await allowConnections(true);
      await expectRecovery();
    });
  });

  describe('because the table is locked', () => {
    let client: Client;

    beforeAll(async () => {
      client = new Client({ connectionString: api.databaseUrl });
      await client.connect();
      await client.query('BEGIN');
      await client.query('LOCK TABLE system_events IN ACCESS EXCLUSIVE MODE');
    });

    afterAll(() => client.end());

    it.each(OPERATIONS)('%s %s answers 503 with Retry-After', async (...operation) => {
      expectUnavailable(await attempt(operation));
    });

    it('answers more requests than there are connections', async () => {
      const answers = await Promise.all(Array.from({ length: 30 }, () => attempt(['POST', '/api/events', EVENT])));
      answers.forEach(expectUnavailable);
    });

    it('serves again by itself once it is free', async () => {
      await client.query('ROLLBACK');
      await expectRecovery();
    });
  });

  it('keeps serving when its connections are cut', async () => {
    for (let round = 0; round < 3; round++) {
      await allowConnections(true);
      await until(async () => (await attempt(['GET', '/api/events/{id}'])).status === 200, 'it serves again');
    }
    await expectRecovery();
  });
});
