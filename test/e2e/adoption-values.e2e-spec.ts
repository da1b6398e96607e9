import { adopt, EARLIER_ROWS, earlierTable } from '../support/adoption';
import { query, useDatabases } from '../support/databases';
import { WRONG_COUNTS } from '../support/event-counts';
import { EVENT, expectInvalid, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import { startApp, type TestApp } from '../support/test-app';

/** SQL of a text of `characters` that no compression makes much smaller. */
const noise = (characters: number): string =>
  `(SELECT left(string_agg(md5(i::text), ''), ${characters}) FROM generate_series(1, ${Math.ceil(characters / 32)}) AS i)`;

describe('rows of an earlier backend that eventdeck would not take', () => {
  const createDatabase = useDatabases();

  async function adopted(table: string, rows: string): Promise<TestApp> {
    const database = await createDatabase(null);
    await adopt(database, table, EARLIER_ROWS, rows);
    return startApp({ CACHE: 'off' }, database);
  }

  /** A table whose texts have no limit. */
  const WIDE = earlierTable().replace(/varchar\(\d+\)/g, 'text');

  const get = async <Body = EventBody>(api: TestApp, path: string): Promise<Answer<Body>> => {
    const answer = await send<Body>('GET', `${api.url}/api/events${path}`);
    expect([path, answer.status]).toEqual([path, 200]);
    return answer;
  };

  it.each([
    ['a little too long', `'€' || ${noise(110)}`, `'€' || ${noise(210)}`, `'€' || ${noise(30)}`],
    ['longer than any index holds', noise(20_000), noise(20_000), noise(20_000)],
  ])('are kept, with types, sources and severities that are %s', async (_, type, source, severity) => {
    const api = await adopted(
      WIDE,
      `INSERT INTO system_events (event_type, severity, message, source)
       SELECT ${type}, 'info', 'long type', 'api'
       UNION ALL SELECT 'short', 'info', 'long source', ${source}
       UNION ALL SELECT 'short', ${severity}, 'long severity', NULL`,
    );
    try {
      const [whole] = await api.sql<{ type: string; source: string; severity: string }>(
        `SELECT ${type} AS type, ${source} AS source, ${severity} AS severity`,
      );
      const cut = { type: whole?.type.slice(0, 100) ?? '', source: whole?.source.slice(0, 200) ?? '' };
      expect((await get(api, '/3')).body).toMatchObject({ event_type: cut.type, message: 'long type', source: 'api' });
      expect((await get(api, '/4')).body).toMatchObject({ event_type: 'short', source: cut.source });
      expect((await get(api, '/5')).body).toMatchObject({ severity: whole?.severity.slice(0, 20), source: null });
      const byType = await get<EventBody[]>(api, `/type/${encodeURIComponent(cut.type)}`);
      expect(byType.body.map(({ id }) => id)).toEqual([3]);
      const bySource = await get<EventBody[]>(api, `?source=${encodeURIComponent(cut.source)}&count=exact`);
      expect([bySource.body.map(({ id }) => id), bySource.headers.get('x-total-count')]).toEqual([[4], '1']);
      const changed = await send<EventBody>('PATCH', `${api.url}/api/events/3`, { json: { message: 'changed' } });
      expect([changed.status, changed.body.event_type]).toEqual([200, cut.type]);
      expect(
        await api.sql(
          'SELECT id::int, earlier_event_type AS type, earlier_source AS source, earlier_severity AS severity FROM system_events WHERE id BETWEEN 2 AND 5 ORDER BY id',
        ),
      ).toEqual([
        { id: 2, type: null, source: null, severity: null },
        { id: 3, type: whole?.type, source: null, severity: null },
        { id: 4, type: null, source: whole?.source, severity: null },
        { id: 5, type: null, source: null, severity: whole?.severity },
      ]);
      expect(await api.sql(WRONG_COUNTS)).toEqual([]);
    } finally {
      await api.close();
    }
  });

  it('are kept, with messages of more words than PostgreSQL indexes, which are found by the first ones', async () => {
    const api = await adopted(
      WIDE,
      `INSERT INTO system_events (event_type, severity, message)
       SELECT 'long', 'info', 'beginning ' || string_agg(md5(i::text), ' ') || ' ending' FROM generate_series(1, 80000) AS i`,
    );
    try {
      expect((await get(api, '/3')).body.message).toHaveLength(80_000 * 33 + 9 + 7);
      expect((await get<EventBody[]>(api, '?q=beginning')).body.map(({ id }) => id)).toEqual([3]);
      expect((await get<EventBody[]>(api, '?q=ending')).body).toEqual([]);
      const changed = await send<EventBody>('PATCH', `${api.url}/api/events/3`, { json: { source: 'known' } });
      expect(changed.status).toBe(200);
    } finally {
      await api.close();
    }
  });

  // Every character of four bytes, each a word of its own, is the most that a message can ask of the list of words.
  it.each([
    ['of one character', ' ', 0x20000],
    ['that open up at their punctuation', '.', 0x20000],
    ['that grow in lower case', ' ', 0x23a],
  ])(
    'take nothing from new ones: a message of nothing but words %s is stored and found to its end',
    async (_, between, from) => {
      const api = await adopted(WIDE, '');
      try {
        const words = Array.from({ length: 32_767 }, (__, place) =>
          String.fromCodePoint(from + (from > 0xffff ? place : place % 2)),
        );
        const message = `${words.join(between)}${between}zz`;
        expect(Array.from(message).length).toBeLessThanOrEqual(65_536);
        const { status, body } = await send<EventBody>('POST', `${api.url}/api/events`, {
          json: { ...EVENT, message },
        });
        expect(status).toBe(201);
        expect((await get<EventBody[]>(api, '?q=zz')).body.map(({ id }) => id)).toEqual([body.id]);
      } finally {
        await api.close();
      }
    },
  );

  it('are kept, with details that are no JSON of ours', async () => {
    const api = await adopted(
      earlierTable(),
      `INSERT INTO system_events (event_type, severity, message, details) VALUES
         ('a', 'info', 'NUL', '{"a": "\\u0000"}'), ('a', 'info', 'half', '["\\ud83d"]'), ('a', 'info', 'list', '[1]')`,
    );
    try {
      expect((await get(api, '/1')).body.details).toEqual({ a: 1 });
      expect((await get(api, '/3')).body.details).toEqual({ text: '{"a": "\\u0000"}' });
      expect((await get(api, '/4')).body.details).toEqual({ text: '["\\ud83d"]' });
      expect((await get(api, '/5')).body.details).toEqual([1]);
    } finally {
      await api.close();
    }
  });

  it('are kept, with nothing where there must be something', async () => {
    const api = await adopted(
      WIDE.replaceAll(' NOT NULL', ''),
      `INSERT INTO system_events (message) VALUES ('alone'); INSERT INTO system_events (event_type, severity) VALUES ('a', 'error')`,
    );
    try {
      expect((await get(api, '/3')).body).toMatchObject({ event_type: 'unknown', severity: 'info', message: 'alone' });
      expect((await get(api, '/4')).body).toMatchObject({ event_type: 'a', severity: 'error', message: '' });
    } finally {
      await api.close();
    }
  });

  it('are told what they lack when they have a severity of their own', async () => {
    const api = await adopted(
      earlierTable(),
      `INSERT INTO system_events (event_type, severity, message) VALUES ('a', 'debug', 'odd')`,
    );
    try {
      const url = `${api.url}/api/events/3`;
      const refused = await send<EventBody>('PATCH', url, { json: { message: 'changed' } });
      expectInvalid(refused, '#/severity');
      expect(refused.text).toMatch(/has \\"debug\\".*one of info, warning, error, critical/);
      expect((await get(api, '/3')).body).toMatchObject({ severity: 'debug', message: 'odd' });
      expect((await send<EventBody>('PATCH', url, { json: {} })).status).toBe(200);
      const both = await send<EventBody>('PUT', url, { json: { message: 'changed', severity: 'info' } });
      expect(both.body).toMatchObject({ severity: 'info', message: 'changed' });
      expect((await send<EventBody>('PATCH', url, { json: { message: 'again' } })).body.message).toBe('again');
    } finally {
      await api.close();
    }
  });
});

describe('an adopted database', () => {
  const createDatabase = useDatabases();

  it('is not adopted again when only its table was restored', async () => {
    const database = await createDatabase();
    await query(database.url, 'DROP TABLE migrations');
    await expect(adopt(database)).rejects.toThrow(/eventdeck's own.*Restore all of it/);
  });
});
