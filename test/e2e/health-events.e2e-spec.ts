import { Client } from 'pg';
import { takeAway } from '../support/databases';
import { startEmptyApp, type EventBody } from '../support/events';
import { send } from '../support/http';
import { startRedis, until } from '../support/services';
import type { TestApp } from '../support/test-app';

type Row = Omit<EventBody, 'id' | 'timestamp' | 'created_at'> & { timestamp: Date; created_at: Date };

const eventsOf = (api: TestApp, type: string): Promise<Row[]> =>
  api.sql<Row>('SELECT * FROM system_events WHERE event_type = $1 ORDER BY id', [type]);

async function ask(api: TestApp, path: string, times = 1): Promise<void> {
  for (let count = 0; count < times; count++) await send('GET', api.url + path);
}

describe('events of health checks', () => {
  let api: TestApp;

  afterEach(() => api.close());

  it('are recorded once for many checks of the same outcome, per kind', async () => {
    api = await startEmptyApp({ SERVICE_NAME: 'deck' });
    await ask(api, '/api/health/database', 5);
    await ask(api, '/api/db/health', 5);
    await ask(api, '/health', 5);
    await ask(api, '/api/health', 5);
    await ask(api, '/health/live', 2);
    await ask(api, '/health/ready', 2);
    // Own events are stored in their order: with the last one all before it are there.
    await until(async () => (await eventsOf(api, 'health_check')).length > 0, 'the last kind is stored');
    const common = { severity: 'info', source: 'deck', message: 'deck is healthy' };
    expect(await eventsOf(api, 'db_health_check')).toMatchObject([
      { ...common, details: { postgres: 'up', redis: 'up' } },
    ]);
    expect(await eventsOf(api, 'health_check')).toMatchObject([
      { ...common, details: { postgres: 'up', migrations: 'up', redis: 'up' } },
    ]);
  });

  it('are recorded again after HEALTH_EVENT_INTERVAL_SECONDS', async () => {
    api = await startEmptyApp({ HEALTH_EVENT_INTERVAL_SECONDS: '1' });
    const repeated = async (): Promise<boolean> => {
      await ask(api, '/api/health');
      return (await eventsOf(api, 'health_check')).length === 3;
    };
    await until(repeated, 'the check is recorded three times');
    const times = (await eventsOf(api, 'health_check')).map(({ timestamp }) => timestamp.getTime());
    for (const [index, time] of times.slice(1).entries()) {
      // The interval is measured by a clock that is never set, the times are of one that may be: a little less is fine.
      expect(time - (times[index] ?? 0)).toBeGreaterThan(900);
    }
  });

  it('are recorded at each change, with their own times, once the database is back', async () => {
    api = await startEmptyApp();
    await ask(api, '/health');
    await ask(api, '/api/db/health');
    await until(async () => (await eventsOf(api, 'db_health_check')).length === 1, 'the first outcomes are stored');
    const bringBack = await takeAway(api.databaseUrl);
    await ask(api, '/health', 3);
    await ask(api, '/api/db/health', 3);
    const back = Date.now();
    await bringBack();
    const isHealthy = async (): Promise<boolean> => (await send('GET', `${api.url}/health`)).status === 200;
    await until(isHealthy, 'the service is healthy again');
    await ask(api, '/api/db/health');
    await until(async () => (await eventsOf(api, 'db_health_check')).length === 3, 'the changes are stored');

    const checks = await eventsOf(api, 'health_check');
    expect(checks.map(({ severity }) => severity)).toEqual(['info', 'error', 'info']);
    expect(checks[1]).toMatchObject({ message: 'eventdeck is unhealthy', details: { postgres: 'down', redis: 'up' } });
    const databaseChecks = await eventsOf(api, 'db_health_check');
    expect(databaseChecks.map(({ severity }) => severity)).toEqual(['info', 'warning', 'info']);
    for (const event of [checks[1], databaseChecks[1]]) {
      expect(event?.timestamp.getTime()).toBeLessThan(back);
      expect(event?.created_at.getTime()).toBeGreaterThanOrEqual(back);
    }
  });

  it('are not repeated by a check that looks at no dependency', async () => {
    const redis = await startRedis();
    try {
      api = await startEmptyApp({ REDIS_URL: redis.url });
      await ask(api, '/api/health');
      await redis.stop();
      for (let round = 0; round < 3; round++) {
        await ask(api, '/health');
        await ask(api, '/api/health');
      }
      await ask(api, '/api/db/health');
      await until(async () => (await eventsOf(api, 'db_health_check')).length === 1, 'the last event is stored');
      const checks = await eventsOf(api, 'health_check');
      expect(checks.map(({ severity }) => severity)).toEqual(['info', 'warning']);
    } finally {
      await redis.stop();
    }
  });

  it('keep no answer waiting', async () => {
    api = await startEmptyApp({ DATABASE_STATEMENT_TIMEOUT_MS: '60000' });
    const blocker = new Client({ connectionString: api.databaseUrl });
    await blocker.connect();
    try {
      await blocker.query('BEGIN; LOCK TABLE system_events IN EXCLUSIVE MODE');
      for (const path of ['/health', '/api/health', '/api/db/health']) {
        expect((await send('GET', api.url + path)).status).toBe(200);
      }
      expect(await eventsOf(api, 'health_check')).toEqual([]);
      await blocker.query('COMMIT');
    } finally {
      await blocker.end();
    }
    await until(async () => (await eventsOf(api, 'db_health_check')).length === 1, 'the events are stored');
    expect(await eventsOf(api, 'health_check')).toHaveLength(1);
  });
});
