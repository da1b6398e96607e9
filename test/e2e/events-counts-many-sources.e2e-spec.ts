import fc from 'fast-check';
import { Client } from 'pg';
import { areFolded, WRONG_COUNTS } from '../support/event-counts';
import { startEmptyApp } from '../support/events';
import { send } from '../support/http';
import { recordStatements, rowsRead } from '../support/statements';
import type { TestApp } from '../support/test-app';

interface Facets {
  total: number;
  source: { value: string | null; count: number }[];
}

/** The key of the compactor's advisory lock: who holds it keeps the deltas from being folded in. */
const COMPACTION_LOCK = 0x65_76_74_63;

async function withoutFolding(api: TestApp, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: api.databaseUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [COMPACTION_LOCK]);
    await work(client);
  } finally {
    await client.end();
  }
}

describe('the counts of events of very many sources', () => {
  const SOURCES = 20_000;
  /** Values that the answers show, and changes that are not folded in yet, with room for what the planner chooses. */
  const FEW = 1000;
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp({ CACHE: 'off' });
    await api.sql('TRUNCATE system_events');
    await api.sql(
      `INSERT INTO system_events (event_type, severity, message, source)
       SELECT 'type-' || i % 5, (ARRAY['info', 'warning', 'error', 'critical'])[1 + i % 4], 'x', 'container-' || i % $1
       FROM generate_series(0, $1 + 9) AS i`,
      [SOURCES],
    );
    await areFolded(api);
  });

  afterAll(() => api.close());

  const CHANGES = [
    `INSERT INTO system_events (event_type, severity, message, source)
     SELECT 'type-1', 'error', 'x', 'container-' || i % 50 FROM generate_series(100, 210) AS i`,
    `DELETE FROM system_events WHERE source IN ('container-0', 'container-1')`,
    `UPDATE system_events SET source = NULL WHERE source IN ('container-2', 'container-7')`,
  ];

  it.each([
    '/facets',
    '/facets?top=100',
    '/facets?severity=error',
    '/facets?source=container-3&source=container-4',
    '/facets?source=container-3&event_type=type-3&min_severity=warning',
    '/stats',
    '?limit=1&count=exact',
    '?limit=1&count=exact&min_severity=error',
    '?limit=1&count=exact&event_type=type-1&event_type=type-2',
    '?limit=1&count=exact&source=container-3',
    '?limit=1&count=exact&source=container-3&event_type=type-3',
  ])('are told by reading few of them: %s', async (path) => {
    await withoutFolding(api, async () => {
      for (const change of ['SELECT', ...CHANGES]) {
        await api.sql(change);
        const [answer, statements] = await recordStatements(/event_count_deltas/, () =>
          send('GET', `${api.url}/api/events${path}`),
        );
        expect([answer.status, statements.length]).toEqual([200, 1]);
        for (const statement of statements) expect(await rowsRead(api.databaseUrl, statement)).toBeLessThan(FEW);
      }
    });
  });

  it('are exact once all is folded in, and keep no row for a source that is gone', async () => {
    await api.sql(`DELETE FROM system_events WHERE id % 3 = 0`);
    await areFolded(api);
    expect(await api.sql(WRONG_COUNTS)).toEqual([]);
    expect(await api.sql('SELECT FROM event_value_totals WHERE events <= 0')).toEqual([]);
  });
});

describe('the most frequent values, while changes of their counts are not folded in', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp({ CACHE: 'off' });
  });

  afterAll(() => api.close());

  const SEVERITIES = ['info', 'error'];
  /** Few, so that ranks are shared, swapped and lost; one is no source at all. */
  const SOURCES = [null, '', 'a', 'B', 'ä', 'b', 'c', 'd'];

  const EXPECTED = `
    WITH found AS (SELECT source FROM system_events WHERE severity = $1 OR $1 IS NULL), ranked AS (
      SELECT source AS value, count(*)::int AS count FROM found GROUP BY 1 ORDER BY 2 DESC, source COLLATE "C" LIMIT $2
    )
    SELECT (SELECT count(*)::int FROM found) AS total,
      (SELECT coalesce(json_agg(json_build_object('value', value, 'count', count)), '[]') FROM ranked) AS source`;

  async function expectRight(client: Client): Promise<void> {
    for (const severity of [undefined, ...SEVERITIES]) {
      for (const top of [1, 2, 3, 9]) {
        const filter = severity === undefined ? '' : `&severity=${severity}`;
        const { body } = await send<Facets>('GET', `${api.url}/api/events/facets?top=${top}${filter}`);
        const { rows } = await client.query<Facets>(EXPECTED, [severity, top]);
        expect([severity, top, { total: body.total, source: body.source }]).toEqual([severity, top, rows[0]]);
      }
    }
  }

  const groups = (maxLength: number, most: number): fc.Arbitrary<unknown[]> =>
    fc.array(
      fc.record({
        source: fc.constantFrom(null, ...SOURCES),
        severity: fc.constantFrom(...SEVERITIES),
        events: fc.integer({ min: 1, max: most }),
      }),
      { maxLength },
    );
  const INSERT = `
    INSERT INTO system_events (event_type, severity, message, source)
    SELECT 'type', severity, 'x', source
    FROM json_to_recordset($1::json) AS made (source text, severity text, events int), generate_series(1, events)`;

  it('are those that a scan finds, whatever was folded in and whatever not', async () => {
    await withoutFolding(api, async (client) => {
      await fc.assert(
        fc.asyncProperty(
          groups(15, 5),
          groups(2, 9),
          fc.subarray(SOURCES),
          fc.integer({ min: 2, max: 4 }),
          async (...made) => {
            const [folded, added, gone, part] = made;
            await client.query('TRUNCATE system_events');
            await client.query(INSERT, [JSON.stringify(folded)]);
            await client.query('SELECT recount_events()');
            await expectRight(client);
            await client.query(INSERT, [JSON.stringify(added)]);
            await expectRight(client);
            await client.query('DELETE FROM system_events WHERE source = ANY ($1::text[]) OR (source IS NULL AND $2)', [
              gone.filter((source) => source !== null),
              gone.includes(null),
            ]);
            await client.query(`UPDATE system_events SET source = 'moved', severity = 'error' WHERE id % $1 = 0`, [
              part,
            ]);
            await expectRight(client);
          },
        ),
        { numRuns: 15, seed: 9, endOnFailure: true },
      );
    });
  });
});

describe('the counts of more changes than one statement can fold in', () => {
  /** Stands for a machine on which more of them take longer than a statement may. */
  const AT_MOST = 300;

  it('are folded in by several', async () => {
    const api = await startEmptyApp({ CACHE: 'off' });
    try {
      await api.sql(`
        CREATE FUNCTION time_out() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF (SELECT count(*) FROM gone) > ${AT_MOST} THEN
            RAISE 'canceling statement due to statement timeout' USING ERRCODE = 'query_canceled';
          END IF;
          RETURN NULL;
        END $$`);
      await api.sql(`
        CREATE TRIGGER time_out AFTER DELETE ON event_count_deltas
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION time_out()`);
      await api.sql(
        `INSERT INTO system_events (event_type, severity, message, source)
         SELECT 'x', 'info', 'x', 'source-' || i FROM generate_series(1, 2000) AS i`,
      );
      await areFolded(api);
      expect(await api.sql(WRONG_COUNTS)).toEqual([]);
    } finally {
      await api.close();
    }
  });
});
