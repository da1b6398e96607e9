import { randomBytes } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { databaseName, query, useDatabases, type TestDatabase } from '../support/databases';
import { testEnvironment } from '../support/environment';
import { send } from '../support/http';
import { useApps } from '../support/retention';
import { until } from '../support/services';
import type { TestApp } from '../support/test-app';

const VIEWS = ['1', 'type/kept', 'stats'];

describe('what is cached of one database', () => {
  const { start, close } = useApps();
  const createDatabase = useDatabases();
  let variables: Record<string, string>;

  beforeEach(() => {
    variables = { CACHE: 'redis', CACHE_PREFIX: `test-${randomBytes(6).toString('hex')}:`, HEARTBEAT_SECONDS: '3600' };
  });

  afterEach(() => {
    jest.restoreAllMocks();
  });

  /** Stores the event with the id 1, and as many more as make the counts of its own. */
  const fill = ({ url }: TestDatabase, message: string, more = 0): Promise<unknown> =>
    query(
      url,
      `INSERT INTO system_events (event_type, severity, message)
       SELECT CASE i WHEN 0 THEN 'kept' ELSE 'more' END, 'info', $1 FROM generate_series(0, $2::int) AS i`,
      [message, more],
    );

  /** What a process shows: the event, the list of its type, the count of the others. */
  async function shownBy({ url }: TestApp): Promise<unknown[]> {
    const [event, list, stats] = await Promise.all(VIEWS.map((view) => send('GET', `${url}/api/events/${view}`)));
    return [
      (event?.body as { message?: string }).message,
      (list?.body as { message: string }[]).map(({ message }) => message),
      (stats?.body as { events_by_type: { more?: number } }).events_by_type.more,
    ];
  }

  /** Reads until what is shown comes from the cache, as it is when the row was changed behind its back. */
  async function expectCached(api: TestApp, database: TestDatabase): Promise<void> {
    const before = await shownBy(api);
    await query(database.url, `UPDATE system_events SET message = 'behind the back' WHERE id = 1`);
    expect(await shownBy(api)).toEqual(before);
  }

  it('is not shown by another one that uses the same keys, nor after changes, and that is logged once', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn');
    const databases = [await createDatabase(), await createDatabase()] as const;
    await fill(databases[0], 'production', 1);
    await fill(databases[1], 'staging', 2);
    const [production, staging] = [await start(databases[0], variables), await start(databases[1], variables)];
    const expected = (message: string, count: number): unknown[] => [message, [message], count];
    for (let round = 0; round < 3; round++) {
      expect(await shownBy(production)).toEqual(expected('production', 1));
      expect(await shownBy(staging)).toEqual(expected('staging', 2));
    }
    for (const [api, message, count] of [
      [production, 'production 2', 1],
      [staging, 'staging 2', 2],
    ] as const) {
      expect((await send('PATCH', `${api.url}/api/events/1`, { json: { message } })).status).toBe(200);
      expect(await shownBy(staging)).toEqual(expected(count === 1 ? 'staging' : message, 2));
      expect(await shownBy(production)).toEqual(expected('production 2', 1));
    }
    const texts = warn.mock.calls.map(([text]) => String(text)).filter((text) => text.includes('another database'));
    expect(texts).toEqual([texts[0], texts[0]]);
    expect(texts[0]).toContain('CACHE_PREFIX');
  });

  it.each(['redis', 'memory'])('is not shown once it was made anew under a running process: in %s', async (CACHE) => {
    const { postgresUrl, template } = testEnvironment();
    const database = await createDatabase();
    await fill(database, 'before', 1);
    const api = await start(database, { ...variables, CACHE });
    await expectCached(api, database);
    const name = databaseName(database.url);
    await query(postgresUrl, `DROP DATABASE ${name} WITH (FORCE)`);
    await query(postgresUrl, `CREATE DATABASE ${name} TEMPLATE ${template}`);
    await fill(database, 'after', 2);
    await until(async () => (await send('GET', `${api.url}/api/events`)).status === 200, 'it is connected again');
    expect(await shownBy(api)).toEqual(['after', ['after'], 2]);
    await expectCached(api, database);
  });

  it('is not shown when its table was made anew while nothing ran', async () => {
    const database = await createDatabase();
    await fill(database, 'before', 1);
    const first = await start(database, variables);
    await expectCached(first, database);
    // Its keys stay, as after a crash.
    await query(
      database.url,
      'CREATE TABLE restored (LIKE system_events INCLUDING ALL); ALTER TABLE system_events RENAME TO dropped; ALTER TABLE restored RENAME TO system_events',
    );
    await fill(database, 'after');
    const second = await start(database, variables);
    expect((await shownBy(second)).slice(0, 2)).toEqual(['after', ['after']]);
    await close(first);
  });

  it('is shown where the functions for servers are forbidden, as elsewhere', async () => {
    const database = await createDatabase();
    await query(
      database.url,
      `CREATE FUNCTION pg_control_system(OUT system_identifier bigint) LANGUAGE plpgsql AS $$
         BEGIN RAISE insufficient_privilege; END $$`,
    );
    await query(database.url, `ALTER DATABASE ${databaseName(database.url)} SET search_path = public, pg_catalog`);
    await fill(database, 'kept', 1);
    await expectCached(await start(database, variables), database);
  });
});
