import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { areFolded, insert, WRONG_COUNTS } from '../support/event-counts';
import { startEmptyApp } from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';

async function rowsOfCounts(api: TestApp): Promise<unknown> {
  const rows = await api.sql(
    'SELECT (SELECT count(*)::int FROM event_totals) AS totals, (SELECT count(*)::int FROM event_minutes) AS minutes',
  );
  return rows[0];
}

describe('the counts of events', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  beforeEach(() => api.sql('TRUNCATE system_events'));

  afterAll(() => api.close());

  const total = async (path = ''): Promise<number> =>
    Number((await send('GET', `${api.url}/api/events?limit=1&count=exact${path}`)).headers.get('x-total-count'));

  const FOLDED = [
    'times to both ends',
    'everything',
    'some events away',
    'all events away, at once',
    'a part of a transaction',
  ];
  const CHANGES: [name: string, statements: string[]][] = [
    ['one event', [insert(1)]],
    ['many events', [insert(500)]],
    ['no event', [insert(0)]],
    ['a type', [`UPDATE system_events SET event_type = 'other' WHERE event_type = 'type-1'`]],
    ['a severity', [`UPDATE system_events SET severity = 'critical' WHERE severity <> 'info'`]],
    ['a source', [`UPDATE system_events SET source = 'other' WHERE source = 'source-1'`]],
    ['a source to none', [`UPDATE system_events SET source = NULL`]],
    ['a source from none', [`UPDATE system_events SET source = 'some' WHERE source IS NULL`]],
    ['a time within its minute', [`UPDATE system_events SET "timestamp" = date_trunc('minute', "timestamp", 'UTC')`]],
    ['a time', [`UPDATE system_events SET "timestamp" = "timestamp" + interval '59 seconds'`]],
    [
      'times to both ends',
      [
        `UPDATE system_events SET "timestamp" = '0001-01-01T00:00:00Z' WHERE id % 2 = 0`,
        `UPDATE system_events SET "timestamp" = '9999-12-31T23:59:59.999Z' WHERE id % 2 = 1`,
        `UPDATE system_events SET "timestamp" = '1969-12-31T23:59:00Z' WHERE id % 3 = 1`,
      ],
    ],
    ['everything', [`UPDATE system_events SET event_type = 'a', severity = 'info', source = 'b', "timestamp" = now()`]],
    ['some events away', [`DELETE FROM system_events WHERE id % 3 = 0`]],
    ['all events away', [`DELETE FROM system_events`]],
    ['all events away, at once', ['TRUNCATE system_events']],
    ['and back, in a transaction', ['BEGIN', 'DELETE FROM system_events', insert(20), 'COMMIT']],
    ['nothing in the end', ['BEGIN', insert(20), 'DELETE FROM system_events', 'TRUNCATE system_events', 'ROLLBACK']],
    ['a part of a transaction', ['BEGIN', insert(3), 'SAVEPOINT s', insert(4), 'ROLLBACK TO s', insert(5), 'COMMIT']],
    ['a table that is emptied and filled', ['BEGIN', 'TRUNCATE system_events', insert(9), 'COMMIT']],
    [
      'rows that are there already',
      [
        `INSERT INTO system_events (id, event_type, severity, message) OVERRIDING SYSTEM VALUE
         SELECT id - (id % 2) * 1000000, 'new', 'error', 'x' FROM system_events
         ON CONFLICT (id) DO UPDATE SET event_type = 'changed', severity = excluded.severity`,
      ],
    ],
    [
      'rows of one statement that changes some and removes others',
      [
        `WITH removed AS (DELETE FROM system_events WHERE id % 2 = 0 RETURNING event_type),
              changed AS (UPDATE system_events SET source = 'moved' WHERE id % 2 = 1)
         INSERT INTO system_events (event_type, severity, message) SELECT event_type, 'info', 'x' FROM removed`,
      ],
    ],
    [
      'events from another place',
      [
        `SET search_path = pg_catalog; SET TimeZone = 'Asia/Kathmandu';
         ${insert(50).replace('system_events', 'public.system_events')};
         DELETE FROM public.system_events WHERE id % 2 = 0;
         UPDATE public.system_events SET source = 'there'`,
      ],
    ],
  ];

  async function expectExactAfter(name: string, statements: string[]): Promise<void> {
    const client = new Client({ connectionString: api.databaseUrl });
    await client.connect();
    try {
      for (const statement of statements) {
        await client.query(statement);
        await client.query('SET search_path = public');
        expect([name, statement, (await client.query(WRONG_COUNTS)).rows]).toEqual([name, statement, []]);
      }
    } finally {
      await client.end();
    }
  }

  it.each(CHANGES)('are exact after a change: %s', async (name, statements) => {
    await api.sql(insert(100));
    await expectExactAfter(name, statements);
  });

  it.each(CHANGES.filter(([name]) => FOLDED.includes(name)))(
    'are exact after a change: %s, once all is folded in',
    async (name, statements) => {
      await api.sql(insert(100));
      await areFolded(api);
      await expectExactAfter(name, statements);
      await areFolded(api);
      expect(await api.sql(WRONG_COUNTS)).toEqual([]);
    },
  );

  /** The deltas of one transaction: only it sees them, so nobody folds them in. */
  async function deltasOf(...statements: string[]): Promise<unknown[]> {
    const client = new Client({ connectionString: api.databaseUrl });
    await client.connect();
    try {
      await client.query('BEGIN');
      for (const statement of statements) await client.query(statement);
      return (await client.query<{ events: number }>('SELECT events::int FROM event_count_deltas')).rows;
    } finally {
      await client.end();
    }
  }

  it('take nothing down that changes no count', async () => {
    await api.sql(insert(10));
    await areFolded(api);
    expect(await deltasOf(`UPDATE system_events SET message = 'y', version = version + 1`)).toEqual([]);
    expect(await deltasOf(`UPDATE system_events SET "timestamp" = "timestamp" + interval '1 ms'`)).toEqual([]);
    expect(await deltasOf('DELETE FROM system_events WHERE false')).toEqual([]);
  });

  it('take one row down for the events of one statement that are alike', async () => {
    const alike = `
      INSERT INTO system_events (event_type, severity, message, "timestamp")
      SELECT 'alike', 'info', 'x', timestamptz '2026-01-31T09:00:00Z' + i * interval '1 ms' FROM generate_series(0, 59999) AS i`;
    const move = `UPDATE system_events SET source = 'moved'`;
    expect(await deltasOf(alike)).toEqual([{ events: 60_000 }]);
    expect(await deltasOf(alike, move)).toEqual([{ events: 60_000 }, { events: 60_000 }, { events: -60_000 }]);
  });

  it('are exact after the table is emptied by one who does not see all that is in it', async () => {
    await api.sql(insert(10));
    const client = new Client({ connectionString: api.databaseUrl });
    await client.connect();
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await client.query('SELECT FROM system_events');
      await api.sql(insert(20));
      await client.query('TRUNCATE system_events');
      await client.query(insert(5));
      await client.query('COMMIT');
    } finally {
      await client.end();
    }
    expect(await api.sql(WRONG_COUNTS)).toEqual([]);
    expect(await total()).toBe(5);
  });

  it('are those of one who may only write events', async () => {
    const role = `eventdeck_test_${randomBytes(6).toString('hex')}`;
    await api.sql(`CREATE ROLE ${role}`);
    try {
      await api.sql(`GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON system_events TO ${role}`);
      await api.sql(
        `SET ROLE ${role}; ${insert(30)}; DELETE FROM system_events WHERE id % 2 = 0; UPDATE system_events SET source = NULL`,
      );
      expect(await api.sql(WRONG_COUNTS)).toEqual([]);
      expect(await total()).toBe(15);
      await api.sql(`SET ROLE ${role}; TRUNCATE system_events`);
      expect(await total()).toBe(0);
      await expect(api.sql(`SET ROLE ${role}; SELECT * FROM event_totals`)).rejects.toThrow(/permission denied/);
      await expect(
        api.sql(
          `SET ROLE ${role}; CREATE TEMP TABLE t (event_type text, severity text, source text, "timestamp" timestamptz); CREATE TRIGGER t AFTER INSERT ON t REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION count_events_on_insert()`,
        ),
      ).rejects.toThrow(/permission denied/);
    } finally {
      await api.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('keep no row for what is no longer there', async () => {
    await api.sql(insert(200));
    await areFolded(api);
    const before = (await rowsOfCounts(api)) as Record<string, number>;
    expect(before).toEqual({ totals: 60, minutes: 24 * 4 });
    await api.sql(`DELETE FROM system_events WHERE event_type <> 'type-0' OR "timestamp" >= '2026-01-31T10:05:00Z'`);
    await areFolded(api);
    expect(await api.sql(WRONG_COUNTS)).toEqual([]);
    expect(await rowsOfCounts(api)).toEqual(
      (
        await api.sql(
          `SELECT count(DISTINCT (event_type, severity, source))::int AS totals,
         count(DISTINCT (date_trunc('minute', "timestamp", 'UTC'), severity))::int AS minutes FROM system_events`,
        )
      )[0],
    );
    await api.sql('DELETE FROM system_events');
    await areFolded(api);
    expect(await rowsOfCounts(api)).toEqual({ totals: 0, minutes: 0 });
  });

  it('can be counted anew', async () => {
    await api.sql(insert(200));
    await api.sql(
      `BEGIN; SET LOCAL session_replication_role = replica; ${insert(300, 200)}; DELETE FROM system_events WHERE id % 7 = 0; COMMIT`,
    );
    expect(await api.sql(WRONG_COUNTS)).not.toEqual([]);
    await api.sql('SELECT recount_events()');
    expect(await api.sql(WRONG_COUNTS)).toEqual([]);
    await api.sql(insert(10));
    expect(await api.sql(WRONG_COUNTS)).toEqual([]);
  });

  it('are exact for whom they are asked, by any filter', async () => {
    await api.sql(insert(1000));
    const span = 'since=2026-01-31T10:00:00Z&until=2026-01-31T11:00:00Z';
    for (const filter of [
      '',
      'event_type=type-1',
      'event_type=type-1&event_type=type-2&severity=info&source=source-3',
      'severity=error&min_severity=critical',
      'min_severity=error',
      span,
      `${span}&severity=error`,
      'since=2026-01-31T10:00:00.001Z&until=2026-01-31T10:59:59.999Z',
      'since=2026-01-31T10:00:10.001Z&until=2026-01-31T10:00:50Z',
      'since=2026-01-31T10:00:30Z',
      'until=2026-01-31T10:00:30Z&min_severity=warning',
      'since=0001-01-01T00:00:00.001Z&until=9999-12-31T23:59:59.999Z',
      `${span}&source=source-2`,
      `${span}&q=x`,
    ]) {
      const page = await send<unknown[]>('GET', `${api.url}/api/events?limit=1000&count=exact&${filter}`);
      expect([filter, page.headers.get('x-total-count')]).toEqual([filter, String(page.body.length)]);
    }
  });
});
