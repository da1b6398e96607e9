import { createDatabase, takeAway } from '../support/databases';
import { testEnvironment } from '../support/environment';
import { EVENT, expectProblem } from '../support/events';
import { send, type Answer } from '../support/http';
import { startRedis, until } from '../support/services';
import { startApp, type TestApp } from '../support/test-app';

interface Report {
  status: string;
  info: Record<string, unknown>;
  error: Record<string, unknown>;
  details: Record<string, unknown>;
}

const PATHS = ['/health', '/health/live', '/health/ready', '/api/health', '/api/health/database', '/api/db/health'];

const up = { status: 'up', responseTime: expect.any(Number) as number };
const down = {
  status: 'down',
  message: 'PostgreSQL does not answer',
  responseTime: expect.any(Number) as number,
};
const get = <Body = Report>(api: TestApp, path: string): Promise<Answer<Body>> => send('GET', api.url + path);
const statusOf = async (api: TestApp, path: string): Promise<number> => (await get(api, path)).status;

/** Expects epoch seconds with a fraction, of this minute. */
function expectEpochSeconds(body: unknown): void {
  const { timestamp } = body as { timestamp: number };
  expect(Math.abs(timestamp - Date.now() / 1000)).toBeLessThan(60);
  expect(Number.isInteger(timestamp * 1000) || timestamp % 1 !== 0).toBe(true);
}

describe('health', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startApp();
  });

  afterAll(() => api.close());

  it('tells operators how every dependency is', async () => {
    const { status, body, headers } = await get(api, '/health');
    const details = { postgres: up, migrations: up, redis: up };
    expect([status, body]).toEqual([200, { status: 'ok', info: details, error: {}, details }]);
    expect(headers.get('content-type')).toMatch(/^application\/json/);
  });

  it('tells an orchestrator that the process lives and is ready', async () => {
    expect(await get(api, '/health/live')).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    const details = { postgres: up, migrations: up };
    const { status, body } = await get(api, '/health/ready');
    expect([status, body]).toEqual([200, { status: 'ok', info: details, error: {}, details }]);
  });

  it('tells clients of the earlier backend what they know', async () => {
    const { status, body } = await get(api, '/api/health');
    const timestamp = expect.any(Number) as number;
    expect([status, body]).toEqual([200, { status: 'healthy', mode: 'external', timestamp, version: '0.1.0' }]);
    expectEpochSeconds(body);
    for (const path of ['/api/health/database', '/api/db/health']) {
      const answer = await get<{ postgres: { pool_size: number; pool_free: number } }>(api, path);
      expect([answer.status, answer.body]).toEqual([
        200,
        {
          status: 'healthy',
          postgres: {
            connected: true,
            pool_size: expect.any(Number) as number,
            pool_free: expect.any(Number) as number,
          },
          redis: { connected: true },
          timestamp,
        },
      ]);
      const { pool_size, pool_free } = answer.body.postgres;
      expect(pool_size).toBeGreaterThan(0);
      expect(pool_free).toBeGreaterThanOrEqual(0);
      expect(pool_free).toBeLessThanOrEqual(pool_size);
      expectEpochSeconds(answer.body);
    }
  });

  it.each(PATHS)('%s is read only, never kept, and the same with a trailing slash', async (path) => {
    const read = await get(api, path);
    expect(read.headers.get('cache-control')).toBe('no-store');
    expect(await statusOf(api, `${path}/`)).toBe(200);
    expect(await send('HEAD', api.url + path)).toMatchObject({ status: 200, text: '' });
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await send(method, api.url + path);
      expectProblem(answer, 405);
      expect(answer.headers.get('allow')).toBe('GET, HEAD');
    }
  });

  it.each(['/health/nothing', '/api/health/nothing', '/api/db', '/healthy'])('%s is nothing', async (path) => {
    expectProblem(await get(api, path), 404);
  });

  it('says that Redis is not configured, and is healthy without', async () => {
    const without = await startApp({ REDIS_URL: '' });
    try {
      expect((await get(without, '/health')).body).toMatchObject({
        status: 'ok',
        details: { redis: { status: 'up', configured: false } },
      });
      expect((await get(without, '/api/db/health')).body).toMatchObject({
        status: 'healthy',
        redis: { connected: false, configured: false },
      });
    } finally {
      await without.close();
    }
  });

  it('is not ready before the migrations have run', async () => {
    const empty = await createDatabase(testEnvironment().postgresUrl);
    const early = await startApp({}, empty);
    try {
      const migrations = { status: 'down', message: expect.stringMatching(/[2-9] migrations/) as string };
      for (const path of ['/health', '/health/ready']) {
        const { status, body } = await get(early, path);
        expect(status).toBe(503);
        expect(body).toMatchObject({ status: 'error', info: { postgres: up }, error: { migrations } });
      }
      expect(await statusOf(early, '/health/live')).toBe(200);
      expectProblem(await get(early, '/api/events'), 503);
    } finally {
      await early.close();
      await empty.drop();
    }
  });
});

describe('health while the database is away', () => {
  let api: TestApp;
  let bringBack: () => Promise<void>;

  beforeAll(async () => {
    api = await startApp();
    expect(await statusOf(api, '/health')).toBe(200);
    bringBack = await takeAway(api.databaseUrl);
  });

  afterAll(() => api.close());

  it('is down for operators, and for the orchestrator not ready but alive', async () => {
    const redis = up;
    const error = { postgres: down, migrations: down };
    expect(await get(api, '/health')).toMatchObject({
      status: 503,
      body: { status: 'error', info: { redis }, error, details: { ...error, redis } },
    });
    expect(await get(api, '/health/ready')).toMatchObject({ status: 503, body: { status: 'error', error } });
    expect((await get(api, '/health/ready')).headers.get('content-type')).toMatch(/^application\/json/);
    expect(await statusOf(api, '/health/live')).toBe(200);
  });

  it('is 200 and degraded for clients of the earlier backend', async () => {
    expect(await get(api, '/api/health')).toMatchObject({ status: 200, body: { status: 'healthy' } });
    for (const path of ['/api/health/database', '/api/db/health']) {
      expect(await get(api, path)).toMatchObject({
        status: 200,
        body: { status: 'degraded', postgres: { connected: false, pool_free: 0 }, redis: { connected: true } },
      });
    }
  });

  it('repeats nothing of what the driver says', async () => {
    const { hostname, port, password, pathname } = new URL(api.databaseUrl);
    const secrets = [hostname, port, password, pathname.slice(1), 'accepting', 'ECONN', 'Error', 'terminat'];
    for (const path of [...PATHS, '/api/events']) {
      const { text } = await get(api, path);
      for (const secret of secrets.filter((text) => text !== '')) expect(text).not.toContain(secret);
    }
  });

  it('recovers by itself', async () => {
    await bringBack();
    await until(async () => (await statusOf(api, '/health')) === 200, 'the service is healthy again');
    expect(await statusOf(api, '/health/ready')).toBe(200);
    expect((await send('POST', `${api.url}/api/events`, { json: EVENT })).status).toBe(201);
    expect((await get(api, '/api/db/health')).body).toMatchObject({ status: 'healthy', postgres: { connected: true } });
  });
});

describe('health while Redis is away', () => {
  it('is degraded, not down, and recovers by itself', async () => {
    let redis = await startRedis();
    const api = await startApp({ REDIS_URL: redis.url });
    try {
      expect((await get(api, '/health')).body).toMatchObject({ status: 'ok', details: { redis: up } });
      await redis.stop();
      const { status, body, text } = await get(api, '/health');
      expect(status).toBe(200);
      expect(body).toMatchObject({
        status: 'degraded',
        info: { postgres: up },
        details: { redis: { status: 'degraded' } },
      });
      expect(text).not.toMatch(new RegExp(`ECONN|${new URL(redis.url).port}`));
      expect((await get(api, '/api/health/database')).body).toMatchObject({
        status: 'degraded',
        postgres: { connected: true },
        redis: { connected: false },
      });
      expect(await statusOf(api, '/health/ready')).toBe(200);

      redis = await startRedis(Number(new URL(redis.url).port));
      await until(async () => (await get(api, '/health')).body.status === 'ok', 'Redis is used again');
      expect((await get(api, '/api/health/database')).body).toMatchObject({
        status: 'healthy',
        redis: { connected: true },
      });
    } finally {
      await api.close();
      await redis.stop();
    }
  });
});
