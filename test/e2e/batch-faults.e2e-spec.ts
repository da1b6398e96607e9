import { countEvents, EVENT, expectInvalid, expectProblem, startEmptyApp } from '../support/events';
import { send, type Answer } from '../support/http';
import { lockEvents } from '../support/table-lock';
import { startApp, type TestApp } from '../support/test-app';

interface BatchBody {
  accepted: number;
  ids: (number | null)[];
  errors: { index: number; status: number; pointer?: string }[];
}

/** Half of the pool is for batches. */
const POOL = 6;
const AT_ONCE = POOL / 2;

const numbered = (count: number): { message: string }[] =>
  Array.from({ length: count }, (_, index) => ({ ...EVENT, message: `event ${index}` }));

/** Ways to store a batch: in one statement, in several, all or none, and under a key. */
const WAYS: [way: string, count: number, query: string, headers: Record<string, string>][] = [
  ['one statement', 10, '', {}],
  ['several statements', 1500, '', {}],
  ['all or none', 10, '?atomic=true', {}],
  ['with an Idempotency-Key', 10, '', { 'idempotency-key': 'a batch' }],
];

describe('POST /api/events/batch while the database fails', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp({
      DATABASE_POOL_MAX: String(POOL),
      DATABASE_STATEMENT_TIMEOUT_MS: '1000',
    });
  });

  afterAll(() => api.close());

  beforeEach(() => api.sql('TRUNCATE system_events, idempotency_keys'));

  const post = (
    events: unknown[],
    query = '',
    headers: Record<string, string> = {},
    url = api.url,
  ): Promise<Answer<BatchBody>> => send('POST', `${url}/api/events/batch${query}`, { json: events, headers });

  function expectUnavailable(answer: Answer): void {
    expectProblem(answer, 503);
    expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  }

  describe.each(WAYS)('%s', (_way, count, query, headers) => {
    /** Every connection of the pool is fit for use, and what was refused has not happened. */
    async function expectRecovery(): Promise<void> {
      expect(await countEvents(api)).toBe(0);
      for (let round = 0; round < 2; round++) {
        const answers = await Promise.all(Array.from({ length: 2 * POOL }, () => post(numbered(3), '?atomic=true')));
        expect(answers.map(({ status, body }) => [status, body.accepted])).toEqual(answers.map(() => [200, 3]));
      }
      const again = await post(numbered(count), query, headers);
      expect([again.status, again.body.accepted, again.headers.get('idempotent-replayed')]).toEqual([200, count, null]);
    }

    it('answers 503 where the connection dies, and goes on', async () => {
      const lock = await lockEvents(api);
      const answer = post(numbered(count), query, headers);
      await lock.waiters();
      await lock.terminateWaiters();
      expectUnavailable(await answer);
      await lock.release();
      await expectRecovery();
    });

    it('answers 503 where a statement takes too long, and gives every connection back', async () => {
      const lock = await lockEvents(api);
      const keys = (number: number): Record<string, string> =>
        'idempotency-key' in headers ? { 'idempotency-key': `slow ${number}` } : {};
      const slow = Array.from({ length: 3 * AT_ONCE }, (_, number) => post(numbered(count), query, keys(number)));
      const answers = await Promise.all(slow).finally(() => lock.release());
      answers.forEach(expectUnavailable);
      await expectRecovery();
    });
  });

  it('stores nothing of a batch that cannot be stored to its end', async () => {
    await api.sql(`CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = 'serialization_failure'; END $$`);
    await api.sql(`CREATE TRIGGER conflict BEFORE INSERT ON system_events FOR EACH ROW
      WHEN (new.message = 'event 1499') EXECUTE FUNCTION conflict()`);
    try {
      for (const [, , query, headers] of WAYS) expectUnavailable(await post(numbered(1500), query, headers));
      // A refused event makes the rest of its statement go in parts.
      const partly = numbered(1500).slice(600);
      await api.sql(`ALTER TABLE system_events ADD CONSTRAINT no_first CHECK (message <> 'event 600')`);
      for (const [, , query, headers] of WAYS) expectUnavailable(await post(partly, query, headers));
      expect(await countEvents(api)).toBe(0);
    } finally {
      await api.sql('ALTER TABLE system_events DROP CONSTRAINT IF EXISTS no_first');
      await api.sql('DROP TRIGGER conflict ON system_events');
    }
    expect((await post(numbered(1500), '', { 'idempotency-key': 'a batch' })).body.accepted).toBe(1500);
  });

  it('stores what the database accepts in one transaction, and says where each refused event is at fault', async () => {
    await api.sql(`ALTER TABLE system_events ADD CONSTRAINT no_poison CHECK (message NOT LIKE 'poison%')`);
    await api.sql('CREATE TABLE transactions (id xid8 NOT NULL)');
    await api.sql(`CREATE FUNCTION note_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO transactions VALUES (pg_current_xact_id()); RETURN NULL; END $$`);
    await api.sql('CREATE TRIGGER note AFTER INSERT ON system_events EXECUTE FUNCTION note_transaction()');
    try {
      const events = numbered(900);
      for (const place of [0, 450, 899]) events[place] = { ...EVENT, message: 'poison' };
      expectInvalid(await post(events, '?atomic=true'), '#/0', '#/450', '#/899');
      expect(await countEvents(api)).toBe(0);
      await api.sql('TRUNCATE transactions');
      const { status, body } = await post(events);
      expect([status, body.accepted]).toEqual([200, 897]);
      expect(body.errors.map(({ index, pointer }) => [index, pointer])).toEqual([0, 450, 899].map((at) => [at, '#']));
      expect(await api.sql('SELECT count(DISTINCT id)::int AS n FROM transactions')).toEqual([{ n: 1 }]);
    } finally {
      await api.sql('DROP TRIGGER note ON system_events');
      await api.sql('ALTER TABLE system_events DROP CONSTRAINT no_poison');
    }
  });

  it('stores once when two processes race for a key', async () => {
    const other = await startApp({ CACHE: 'off' }, { url: api.databaseUrl, drop: () => Promise.resolve() });
    try {
      await api.sql('TRUNCATE system_events');
      for (let round = 0; round < 20; round++) {
        const answers = await Promise.all(
          [api.url, other.url, api.url, other.url].map((url) =>
            post(numbered(5), '', { 'idempotency-key': `race ${round}` }, url),
          ),
        );
        const stored = answers.filter(({ status }) => status === 200);
        expect(new Set(stored.map(({ text }) => text)).size).toBe(1);
        for (const answer of answers) if (answer.status !== 200) expectProblem(answer, 409);
      }
      const [row] = await api.sql(`SELECT count(*)::int AS n FROM system_events WHERE message LIKE 'event %'`);
      expect(row).toEqual({ n: 100 });
    } finally {
      await other.close();
    }
  });

  it('repeats the answer to 10,000 events', async () => {
    const events = numbered(10_000).map((event, index) => (index % 2 ? event : { ...event, severity: 'fatal' }));
    const headers = { 'idempotency-key': 'large' };
    const first = await post(events, '', headers);
    const again = await post(events, '', headers);
    expect([first.status, first.body.accepted]).toEqual([200, 5000]);
    expect([again.status, again.text === first.text, again.headers.get('idempotent-replayed')]).toEqual([
      200,
      true,
      'true',
    ]);
    expect(await countEvents(api)).toBe(5000);
  });
});
