import { adopt, EARLIER_ROWS, earlierTable } from '../support/adoption';
import { query, useDatabases, type TestDatabase } from '../support/databases';
import { EVENT, type EventBody } from '../support/events';
import { send } from '../support/http';
import { startApp } from '../support/test-app';

describe('what somebody added to the table of an earlier backend', () => {
  const createDatabase = useDatabases();

  async function adopted(...sql: string[]): Promise<TestDatabase> {
    const database = await createDatabase(null);
    await adopt(database, ...sql);
    return database;
  }

  /** Whether the adopted table serves: an old row is read, changed and found, a new one stored and deleted. */
  async function expectService(database: TestDatabase): Promise<void> {
    const api = await startApp({ CACHE: 'off' }, database);
    try {
      const url = `${api.url}/api/events`;
      expect((await send<EventBody>('GET', `${url}/1`)).body).toMatchObject({
        message: 'first',
        timestamp: '2025-03-30T02:30:00.000Z',
        updated_at: '2025-03-30T02:30:01.000Z',
      });
      const changed = await send<EventBody>('PATCH', `${url}/1`, { json: { message: 'changed words' } });
      expect([changed.status, changed.headers.get('etag')]).toEqual([200, '"1-2"']);
      expect((await send<EventBody[]>('GET', `${url}?q=words`)).body).toHaveLength(1);
      const created = await send<EventBody>('POST', url, { json: EVENT });
      expect(created.status).toBe(201);
      expect(created.body.id).toBeGreaterThan(2);
      expect((await send('DELETE', `${url}/${created.body.id}`)).status).toBe(204);
      expect((await send('GET', `${api.url}/health/ready`)).status).toBe(200);
    } finally {
      await api.close();
    }
  }

  it.each([
    ['search', 'search text', `'kept'`],
    ['version', 'version integer NOT NULL', '7'],
    ['version', 'version bigint NOT NULL DEFAULT 1', '7'],
    ['updated_at', 'updated_at bigint NOT NULL', '1743301801'],
    ['updated_at', 'updated_at text', `'long ago'`],
  ])('keeps its values when it is a column %s: %s', async (name, column, value) => {
    const database = await createDatabase(null);
    const rows = EARLIER_ROWS.replace('created_at)', `created_at, ${name})`).replace(/'\)(?=[,;])/g, `', ${value})`);
    await adopt(database, earlierTable(column), rows);
    const kept = await query(database.url, `SELECT earlier_${name}::text AS kept FROM system_events ORDER BY id`);
    expect(kept).toEqual([{ kept: value.replaceAll(`'`, '') }, { kept: value.replaceAll(`'`, '') }]);
    await expectService(database);
  });

  it('keeps the values of columns made of others', async () => {
    const database = await adopted(
      earlierTable(
        `search tsvector GENERATED ALWAYS AS (to_tsvector('english', message)) STORED,
         size integer GENERATED ALWAYS AS (char_length(message)) STORED,
         twice integer GENERATED ALWAYS AS (id * 2) STORED,
         number bigint GENERATED ALWAYS AS IDENTITY`,
      ),
      EARLIER_ROWS,
    );
    expect(
      await query(
        database.url,
        'SELECT earlier_search::text AS search, size, twice, number::int FROM system_events ORDER BY id',
      ),
    ).toEqual([
      { search: `'first':1`, size: 5, twice: 2, number: 1 },
      { search: `'second':1`, size: 6, twice: 4, number: 2 },
    ]);
    await expectService(database);
  });

  it('keeps indexes and rules that have names of ours, and gives us ours', async () => {
    const database = await adopted(
      earlierTable(
        `CONSTRAINT system_events_severity_check CHECK (severity <> 'odd'),
         CONSTRAINT system_events_timestamp_check CHECK ("timestamp" > '2000-01-01'),
         CONSTRAINT system_events_details_idx UNIQUE (id, source)`,
      ),
      `CREATE INDEX ON system_events ("timestamp"); CREATE INDEX ON system_events (event_type);
       CREATE INDEX system_events_search_idx ON system_events (message);`,
      EARLIER_ROWS,
    );
    const indexes = await query<{ name: string; text: string }>(
      database.url,
      `SELECT indexname AS name, indexdef AS text FROM pg_indexes WHERE tablename = 'system_events'`,
    );
    const definitions = Object.fromEntries(indexes.map(({ name, text }) => [name, text.replace(/^.* USING /, '')]));
    expect(definitions).toMatchObject({
      system_events_timestamp_idx: 'btree ("timestamp" DESC, id DESC)',
      earlier_system_events_timestamp_idx: 'btree ("timestamp")',
      system_events_event_type_idx: 'btree (event_type, "timestamp" DESC, id DESC)',
      earlier_system_events_event_type_idx: 'btree (event_type)',
      system_events_search_idx: 'gin (search)',
      earlier_system_events_search_idx: 'btree (message)',
      system_events_details_idx: 'gin (details jsonb_path_ops)',
      earlier_system_events_details_idx: 'btree (id, source)',
    });
    await expectService(database);
  });

  it('keeps a key of other columns, and foreign keys to the table', async () => {
    const database = await adopted(
      earlierTable().replace(' PRIMARY KEY', ''),
      `ALTER TABLE system_events ADD CONSTRAINT "a key" PRIMARY KEY (id, "timestamp"), ADD CONSTRAINT one UNIQUE (id);
       CREATE TABLE notes (event integer REFERENCES system_events (id) DEFERRABLE INITIALLY DEFERRED);`,
      EARLIER_ROWS,
      'INSERT INTO notes VALUES (2)',
    );
    await expect(query(database.url, 'DELETE FROM system_events WHERE id = 2')).rejects.toThrow(/foreign key/);
    await expectService(database);
  });

  it('lets triggers rest while rows are adopted, and wakes those that were awake', async () => {
    const database = await adopted(
      earlierTable('touched integer DEFAULT 0'),
      EARLIER_ROWS,
      `UPDATE system_events SET created_at = NULL, severity = 'WARN' WHERE id = 2;
       CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched = NEW.touched + 1; RETURN NEW; END';
       CREATE TRIGGER awake BEFORE UPDATE ON system_events FOR EACH ROW EXECUTE FUNCTION touch();
       CREATE TRIGGER asleep BEFORE UPDATE ON system_events FOR EACH ROW EXECUTE FUNCTION touch();
       ALTER TABLE system_events DISABLE TRIGGER asleep;`,
    );
    const touched = 'SELECT id::int, touched FROM system_events ORDER BY id';
    expect(await query(database.url, touched)).toEqual([
      { id: 1, touched: 0 },
      { id: 2, touched: 0 },
    ]);
    await expectService(database);
    expect(await query(database.url, `${touched} LIMIT 1`)).toEqual([{ id: 1, touched: 1 }]);
  });

  it('never gives an id again that a sequence of somebody’s own has given', async () => {
    const database = await adopted(
      `CREATE SEQUENCE numbers;`,
      earlierTable().replace('serial', `integer DEFAULT nextval('numbers')`),
      EARLIER_ROWS,
      `SELECT setval('numbers', 4711)`,
    );
    const [row] = await query<{ id: number }>(
      database.url,
      `INSERT INTO system_events (event_type, severity, message) VALUES ('a', 'info', 'x') RETURNING id::int`,
    );
    expect(row?.id).toBe(4712);
  });

  it.each([
    [
      'partitions',
      'ALTER TABLE system_events RENAME TO old; CREATE TABLE system_events (LIKE old) PARTITION BY RANGE (id)',
      /is partitioned/,
    ],
    ['children', 'CREATE TABLE more () INHERITS (system_events)', /inherited by more/],
    [
      'parents',
      'CREATE TABLE base (id integer NOT NULL); ALTER TABLE system_events INHERIT base',
      /inherits from .* base/,
    ],
    [
      'a view in its place',
      'ALTER TABLE system_events RENAME TO old; CREATE VIEW system_events AS SELECT * FROM old',
      /a view/,
    ],
    [
      'rows hidden from its owner',
      'ALTER TABLE system_events ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
      /NO FORCE ROW/,
    ],
    [
      'ids that are no numbers',
      'ALTER TABLE system_events ALTER id DROP DEFAULT, ALTER id TYPE text',
      /column id of the type text/,
    ],
    [
      'times that are numbers',
      'ALTER TABLE system_events ALTER "timestamp" DROP DEFAULT, ALTER "timestamp" TYPE bigint USING 0',
      /column timestamp of the type bigint/,
    ],
    [
      'a policy on a column',
      `ALTER TABLE system_events ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON system_events USING (message <> '')`,
      /policy definition \(policy mine on table system_events/,
    ],
    [
      'a trigger on a column',
      `CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
       CREATE TRIGGER mine BEFORE UPDATE OF message ON system_events FOR EACH ROW EXECUTE FUNCTION nothing()`,
      /trigger definition \(trigger mine on table system_events/,
    ],
    [
      'the same id twice',
      'ALTER TABLE system_events DROP CONSTRAINT system_events_pkey; UPDATE system_events SET id = 1',
      /Key \(id\)=\(1\) is duplicated/,
    ],
    ['a column of its rows elsewhere', 'CREATE TABLE other (event system_events)', /other\.event.* uses its row type/],
  ])('is named with what to do, and left as it was, where it has %s', async (_, sql, problem) => {
    const database = await createDatabase(null);
    await query(database.url, `${earlierTable()} ${EARLIER_ROWS} ${sql};`);
    const rows = 'SELECT * FROM system_events ORDER BY 1';
    const before = await query(database.url, rows);
    await expect(adopt(database)).rejects.toThrow(problem);
    await expect(adopt(database)).rejects.toThrow(/not adopted, and nothing was changed: .*start again/s);
    expect(await query(database.url, rows)).toEqual(before);
  });
});
