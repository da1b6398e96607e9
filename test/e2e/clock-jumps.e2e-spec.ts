import { movableClock, type MovableClock } from '../support/database-clock';
import { query, useDatabases, type TestDatabase } from '../support/databases';
import { EVENT } from '../support/events';
import { send } from '../support/http';
import { lastRun, messages, readRetention, runIsOver, runsOf, useApps } from '../support/retention';
import { until } from '../support/services';

const DAY = 24;
const JUMP = 40 * DAY;

const KEEP = { RETENTION_DAYS: '30', RETENTION_INTERVAL_SECONDS: '1' };

describe('a clock that jumps', () => {
  const { start, close } = useApps();
  const createDatabase = useDatabases();
  let database: TestDatabase;
  let clock: MovableClock;
  const realNow = Date.now.bind(Date);

  beforeEach(async () => {
    database = await createDatabase();
    clock = await movableClock(database.url);
  });

  afterEach(() => {
    jest.restoreAllMocks();
  });

  /** The clock of the database, and with it that of the process: they are of one machine. */
  async function setBoth(hours: number): Promise<void> {
    jest.spyOn(Date, 'now').mockImplementation(() => realNow() + hours * 3_600_000);
    await clock.set(hours);
  }

  const storeAged = (...days: number[]): Promise<unknown> =>
    query(
      database.url,
      `INSERT INTO system_events (event_type, severity, message, "timestamp")
       SELECT 'old', 'info', days, now() - make_interval(days => days) FROM unnest($1::int[]) AS days`,
      [days],
    );

  it('has nothing deleted while that of the database is not that of the process, and all as before afterwards', async () => {
    const api = await start(database, KEEP);
    await runIsOver(api);
    await storeAged(10);
    await clock.set(JUMP);
    await clock.looked(2);
    expect(await messages(database.url)).toEqual(['10']);
    const { body } = await readRetention(api);
    expect(body.held).toBe('The clocks of the database and of this process are more than 5 minutes apart.');
    await clock.set(-1);
    await clock.looked();
    expect((await readRetention(api)).body.held).toBe(body.held);

    await clock.set(0);
    await storeAged(31);
    await until(async () => (await lastRun(api))?.deleted === 1, 'what is too old is deleted');
    expect(await messages(database.url)).toEqual(['10']);
    expect((await readRetention(api)).body.held).toBeNull();
  });

  it('has nothing deleted for a day where it is that of the process too, and all at once when it comes back', async () => {
    const api = await start(database, KEEP);
    await runIsOver(api);
    await storeAged(10);
    await setBoth(JUMP);
    await clock.looked(2);
    expect(await messages(database.url)).toEqual(['10']);
    const { held, next_run } = (await readRetention(api)).body;
    expect(held).toMatch(/^The clock of the database went from .* to .*, because it jumped or nothing was running/);
    const hoursUntil = (Date.parse(next_run ?? '') - realNow()) / 3_600_000;
    expect(hoursUntil - JUMP).toBeGreaterThan(23.5);
    expect(hoursUntil - JUMP).toBeLessThanOrEqual(24);

    await setBoth(0);
    await storeAged(31);
    await until(async () => (await lastRun(api))?.deleted === 1, 'what is too old is deleted');
    expect(await messages(database.url)).toEqual(['10']);
    expect((await readRetention(api)).body.held).toBeNull();
  });

  it.each([JUMP, -JUMP])('is believed after it went on for a day, %d hours from before', async (jump) => {
    const api = await start(database, KEEP);
    await runIsOver(api);
    await setBoth(jump);
    await storeAged(31);
    await clock.looked(2);
    await setBoth(jump + 23.9);
    await clock.looked(2);
    expect(await messages(database.url)).toEqual(['31']);
    await setBoth(jump + 24.1);
    await until(async () => (await messages(database.url)).length === 0, 'it is believed');
    expect((await readRetention(api)).body.held).toBeNull();
    // From then on as ever.
    await setBoth(jump + 24.1 + 2 * DAY - 1);
    await storeAged(31);
    await until(async () => (await messages(database.url)).length === 0, 'the next run deletes');
  });

  it('does not stop runs when one has ended in the future', async () => {
    await query(
      database.url,
      `INSERT INTO retention_runs (started_at, expires_at, ended_at)
       SELECT pg_catalog.now() + interval '40 days', pg_catalog.now() + interval '40 days', ended
       FROM (VALUES (NULL), (pg_catalog.now() + interval '40 days')) AS runs (ended)`,
    );
    await storeAged(31);
    const api = await start(database, { RETENTION_DAYS: '30' });
    await until(async () => (await messages(database.url)).length === 0, 'a run has begun');
    await until(async () => (await lastRun(api))?.deleted === 1, 'it is over');
    const { last_run, next_run } = (await readRetention(api)).body;
    expect(Date.parse(next_run ?? '') - Date.parse(last_run?.at ?? '')).toBe(3_600_000);
    expect(await runsOf(database.url)).toHaveLength(3);
  });

  it('is in doubt at the first start on a table whose newest event is older than two days', async () => {
    await query(database.url, `UPDATE database_clock SET trusted_at = pg_catalog.now() - interval '49 hours'`);
    await storeAged(31);
    const api = await start(database, KEEP);
    await clock.looked(2);
    expect(await messages(database.url)).toEqual(['31']);
    expect((await readRetention(api)).body).toMatchObject({ last_run: null, held: expect.any(String) as string });
  });

  it('does not make an Idempotency-Key forgotten, nor remembered for ever', async () => {
    const headers = { 'idempotency-key': 'kept' };
    const first = await start(database);
    await until(async () => (await clock.looks()) === 1, 'the first process has looked');
    const post = (url: string): ReturnType<typeof send> =>
      send('POST', `${url}/api/events`, { json: { ...EVENT, timestamp: '2026-01-31T09:30:00Z' }, headers });
    const { text, status } = await post(first.url);
    expect(status).toBe(201);
    await setBoth(JUMP);
    // Each looks at its start; ten minutes later again.
    const second = await start(database);
    await until(async () => (await clock.looks()) === 2, 'the second process has looked');
    await close(second);
    expect(await post(first.url)).toMatchObject({ text, status: 201 });

    await query(database.url, `UPDATE idempotency_keys SET created_at = now()`);
    await setBoth(0);
    await start(database);
    const ahead = `SELECT FROM idempotency_keys WHERE created_at > now()`;
    await until(async () => (await query(database.url, ahead)).length === 0, 'the key is as old as it may be');
    expect(await post(first.url)).toMatchObject({ text, status: 201 });
  });
});
