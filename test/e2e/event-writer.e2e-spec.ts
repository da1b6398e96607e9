import {
  countEvents,
  createEvent,
  EVENT,
  expectInvalid,
  expectProblem,
  startEmptyApp,
  type EventBody,
} from '../support/events';
import { send, type Answer } from '../support/http';
import { until } from '../support/services';
import { countReceived, lockEvents } from '../support/table-lock';
import type { TestApp } from '../support/test-app';

const MEBIBYTE = 1024 * 1024;

const SEVERITIES = ['info', 'warning', 'error', 'critical'];

/** An event that shares no value but its severity with one of another number. */
function distinct(number: number): Record<string, unknown> {
  return {
    event_type: `type ${number}`,
    severity: SEVERITIES[number % SEVERITIES.length],
    message: `message ${number}\n"${'é😀'.repeat(number % 7)}"`,
    details: { number, nested: { list: [number, `${number}`] }, ...(number % 3 && { [`key ${number}`]: null }) },
    source: `source ${number}`,
    timestamp: new Date(Date.UTC(2026, 0, 1) + number * 1001).toISOString(),
  };
}

/** Calls `work` with 0 to `count` - 1, `width` at a time. */
async function inParallel<T>(count: number, width: number, work: (number: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const number = next++;
      results[number] = await work(number);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

/** With and without a key an event is stored by another statement. */
const WAYS: [way: string, headers: (name: string) => Record<string, string>][] = [
  ['without a key', () => ({})],
  ['with an Idempotency-Key', (name) => ({ 'idempotency-key': name })],
];

describe('many events at once', () => {
  let api: TestApp;

  beforeAll(async () => {
    // Longer than any test holds a lock.
    api = await startEmptyApp({ DATABASE_STATEMENT_TIMEOUT_MS: '60000' });
    await api.sql('CREATE TABLE statements (rows int NOT NULL)');
    await api.sql(`CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO statements SELECT count(*) FROM new_events; RETURN NULL; END $$`);
    await api.sql(`CREATE TRIGGER count_rows AFTER INSERT ON system_events
      REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION count_rows()`);
  });

  afterAll(() => api.close());

  beforeEach(() => api.sql('TRUNCATE system_events, statements'));

  const post = (json: unknown, headers: Record<string, string> = {}): Promise<Answer<EventBody>> =>
    send('POST', `${api.url}/api/events`, { json, headers });

  const messages = async (): Promise<string[]> =>
    (await api.sql<{ message: string }>('SELECT message FROM system_events ORDER BY id')).map(({ message }) => message);

  it('answers 2000 different events, 100 at a time, each with its own', async () => {
    const key = (number: number): Record<string, string> =>
      number % 3 === 0 ? { 'idempotency-key': `own ${number}` } : {};
    const answers = await inParallel(2000, 100, (number) => post(distinct(number), key(number)));
    expect(answers.map(({ status, body }) => [status, body])).toEqual(
      answers.map(({ body }, number) => [201, { ...body, ...distinct(number) }]),
    );
    expect(answers.map(({ headers }) => [headers.get('location'), headers.get('etag')])).toEqual(
      answers.map(({ body: { id } }) => [`/api/events/${id}`, `"${id}-1"`]),
    );
    const text = await fetch(`${api.url}/api/events/export?format=ndjson`).then((answer) => answer.text());
    expect(text.trimEnd().split('\n').sort()).toEqual(answers.map((answer) => answer.text).sort());
    expect(await countEvents(api)).toBe(2000);
  });

  it('keeps details as they are, numbers and names too', async () => {
    const details = {
      numbers: [0, 1.5, 0.1, 1e-7, 5e-324, -1e-300, 123456789.12345679, 2 ** 53 - 1, -(2 ** 53) + 1],
      names: { '': 1, timestamp: 2, digest: 3, lock: 4, place: 5, id: 6, toString: 7, 'a"b\\c\n\u2028': 8 },
      texts: ['\u0001\u001f\u007f', '\u2028\u2029', '😀\ufffd\uffff', '\\u0000', "'; DROP TABLE system_events; --"],
      empty: [{}, [], null, '', false],
    };
    for (const [, headers] of WAYS) {
      const answers = await Promise.all(
        [details, {}, null, undefined].map((value, place) =>
          post({ ...EVENT, details: value }, headers(`details ${place}`)),
        ),
      );
      expect(answers.map(({ body }) => body.details)).toEqual([details, {}, null, null]);
    }
    expect(await api.sql(`SELECT count(*)::int AS n FROM system_events WHERE details IS NULL`)).toEqual([{ n: 4 }]);
  });

  describe.each(WAYS)('%s', (_way, headers) => {
    const postNamed = (message: string, fields: Record<string, unknown> = {}): Promise<Answer<EventBody>> =>
      post({ ...EVENT, ...fields, message }, headers(message));

    it('stores all that wait in few statements, in their order', async () => {
      const received = countReceived(api);
      const lock = await lockEvents(api);
      const first = postNamed('first');
      await lock.waiters();
      const others = Array.from({ length: 150 }, (_, number) => postNamed(`waits ${number}`, { source: 'few' }));
      await received(151);
      await lock.release();
      const answers = await Promise.all([first, ...others]);
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
      const [counted] = await api.sql<{ n: number; rows: number }>(
        'SELECT count(*)::int AS n, sum(rows)::int AS rows FROM statements WHERE rows > 0',
      );
      expect(counted?.rows).toBe(151);
      expect(counted?.n).toBeLessThanOrEqual(10);
    });

    it('lets only those fail that the database refuses', async () => {
      await api.sql(`ALTER TABLE system_events ADD CONSTRAINT no_poison CHECK (message NOT LIKE 'poison%')`);
      const received = countReceived(api);
      const lock = await lockEvents(api);
      const names = Array.from({ length: 60 }, (_, number) => (number % 13 === 5 ? 'poison' : 'good') + ` ${number}`);
      const first = postNamed('ahead');
      await lock.waiters();
      const posted = names.map((name) => postNamed(name));
      await received(61);
      await lock.release();
      const answers = await Promise.all(posted);
      expect((await first).status).toBe(201);
      for (const [number, name] of names.entries()) {
        const answer = answers[number]!;
        if (name.startsWith('good')) expect([answer.status, answer.body.message]).toEqual([201, name]);
        else expectInvalid(answer, '#');
      }
      expect((await messages()).sort()).toEqual(['ahead', ...names.filter((name) => name.startsWith('good'))].sort());
      await api.sql('ALTER TABLE system_events DROP CONSTRAINT no_poison');
      // Nor is a key used up.
      expect([(await postNamed('poison 5')).status, (await messages()).at(-1)]).toEqual([201, 'poison 5']);
    });

    it('answers 503 where the connection dies, tries nothing again and goes on', async () => {
      const received = countReceived(api);
      const lock = await lockEvents(api);
      const first = postNamed('dies first');
      await lock.waiters();
      const others = Array.from({ length: 50 }, (_, number) => postNamed(`dies ${number}`));
      await received(51);
      // While the table is locked nobody could be answered who was tried again.
      await lock.terminateWaiters();
      const answers = [await first];
      await lock.waiters();
      await lock.terminateWaiters();
      answers.push(...(await Promise.all(others)));
      for (const answer of answers) {
        expectProblem(answer, 503);
        expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
      }
      await lock.release();
      expect(await countEvents(api)).toBe(0);
      const again = await postNamed('dies 7');
      expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, null]);
      expect(await messages()).toEqual(['dies 7']);
    });

    it('makes cached answers new', async () => {
      const read = async (): Promise<unknown[]> => {
        const [list, stats] = await Promise.all([
          send<unknown[]>('GET', `${api.url}/api/events/type/read`),
          send<{ total_events: number }>('GET', `${api.url}/api/events/stats`),
        ]);
        return [list.body.length, stats.body.total_events];
      };
      for (let round = 0; round < 5; round++) {
        expect(await read()).toEqual([round, round]);
        await postNamed(`read ${round}`, { event_type: 'read' });
      }
    });
  });

  it('stores events while columns change', async () => {
    for (const change of ['ADD COLUMN extra text', 'ALTER COLUMN event_type TYPE varchar(120)', 'DROP COLUMN extra']) {
      await api.sql(`ALTER TABLE system_events ${change}`);
      for (const [, headers] of WAYS) expect((await post(EVENT, headers(change))).status).toBe(201);
    }
  });

  it('lets 64 MiB wait and answers 503 at once beyond', async () => {
    const size = MEBIBYTE / 2;
    const envelope = JSON.stringify({ ...EVENT, message: '' }).length;
    // Control characters take six in JSON.
    const filler = { a: 'x'.repeat(200_000) };
    const padded = { ...EVENT, message: '', details: filler };
    const missing = size - JSON.stringify(padded).length;
    const large = { ...padded, message: '\u0001'.repeat(Math.floor(missing / 6)) + 'x'.repeat(missing % 6) };
    expect([JSON.stringify(large).length, envelope < 100]).toEqual([size, true]);
    const lock = await lockEvents(api);
    const first = createEvent(api);
    await lock.waiters();
    const refused: Answer[] = [];
    const answers = Array.from({ length: 140 }, async () => {
      const answer = await post(large);
      if (answer.status === 503) refused.push(answer);
      return answer;
    });
    try {
      // 128 of them fill what may wait.
      await until(() => refused.length >= 12, 'the others are refused', 40_000);
    } finally {
      await lock.release();
    }
    expect(refused.length).toBe(12);
    for (const answer of refused) {
      expectProblem(answer, 503);
      expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    }
    await first;
    const all = await Promise.all(answers);
    const created = all.filter(({ status }) => status === 201);
    // Who waited longer than the limit is refused too.
    for (const answer of all) if (answer.status !== 201) expectProblem(answer, 503);
    expect(await countEvents(api)).toBe(created.length + 1);
    await createEvent(api);
  });
});
