import { startEmptyApp } from '../support/events';
import { send, type Answer } from '../support/http';
import { until } from '../support/services';
import { lockedStatements, spyOnStatements } from '../support/statements';
import { useStops } from '../support/stops';
import { lockEvents } from '../support/table-lock';
import type { TestApp } from '../support/test-app';

const POOL = 3;

const READ_BY_ID = '%"event"."id" = $1%';

describe('probes while requests hold every connection of the pool', () => {
  const stops = useStops();
  let api: TestApp;
  let answers: Promise<Answer>[];

  beforeEach(async () => {
    api = await startEmptyApp({
      CACHE: 'off',
      DATABASE_POOL_MAX: String(POOL),
      DATABASE_STATEMENT_TIMEOUT_MS: '60000',
      HEARTBEAT_SECONDS: '1',
    });
    const lock = await lockEvents(api);
    stops.push(
      () => lock.release(),
      () => Promise.all(answers),
      () => api.close(),
    );
    // Single events have no quota: more of them than there are connections.
    answers = Array.from({ length: 2 * POOL }, (_, id) => send('GET', `${api.url}/api/events/${id + 1}`));
    await lockedStatements(api, READ_BY_ID).reach(POOL);
  });

  const get = (path: string): Promise<Answer> => send('GET', api.url + path);

  it('answer right', async () => {
    for (const path of ['/health', '/health/ready']) {
      const up = { status: 'up' };
      expect(await get(path)).toMatchObject({ status: 200, body: { details: { postgres: up, migrations: up } } });
    }
    for (const path of ['/api/health/database', '/api/db/health']) {
      expect(await get(path)).toMatchObject({
        status: 200,
        body: { postgres: { connected: true, pool_size: POOL, pool_free: 0 } },
      });
    }
    expect(await lockedStatements(api, READ_BY_ID).count()).toBe(POOL);
  });

  it('share what they ask the database', async () => {
    expect((await get('/health/ready')).status).toBe(200);
    const statements = spyOnStatements();
    stops.unshift(() => statements.mockRestore());
    const probes = await Promise.all(Array.from({ length: 100 }, () => get('/health/ready')));
    expect(probes.map(({ status }) => status)).toEqual(probes.map(() => 200));
    expect(statements.matching(/^SELECT 1$/).length).toBeLessThan(probes.length);
  });

  it('come with heartbeats: the process is not taken for crashed', async () => {
    const beat = async (): Promise<Date> => {
      const [run] = await api.sql<{ heartbeat_at: Date }>('SELECT heartbeat_at FROM service_runs');
      return run?.heartbeat_at ?? new Date(0);
    };
    const before = await beat();
    await until(async () => (await beat()) > before, 'there is another heartbeat');
    expect(await lockedStatements(api, READ_BY_ID).count()).toBe(POOL);
  });
});
