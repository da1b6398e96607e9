import { countEvents, createEvent, EVENT, expectProblem, startEmptyApp } from '../support/events';
import { send } from '../support/http';
import { until } from '../support/services';
import { countReceived, lockEvents } from '../support/table-lock';
import { startApp, type TestApp } from '../support/test-app';

/** Every second event has a key: with one it is stored by another statement. */
const headersOf = (number: number): Record<string, string> =>
  number % 2 === 1 ? { 'idempotency-key': `key ${number}` } : {};

describe('a database that is not there', () => {
  it('is answered with 503', async () => {
    const url = 'postgres://nobody@127.0.0.1:1/none';
    const api = await startApp({ CACHE: 'off' }, { url, drop: () => Promise.resolve() });
    try {
      for (const path of ['/api/events', '/api/events/batch']) {
        const json = path.endsWith('batch') ? [EVENT] : EVENT;
        for (const number of [0, 1]) {
          expectProblem(await send('POST', api.url + path, { json, headers: headersOf(number) }), 503);
        }
      }
    } finally {
      await api.close();
    }
  });
});

describe('a database that is too slow', () => {
  it('is answered with 503 within its time limit', async () => {
    const api = await startEmptyApp({ DATABASE_STATEMENT_TIMEOUT_MS: '300' });
    try {
      const lock = await lockEvents(api);
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, number) =>
          send('POST', `${api.url}/api/events`, { json: EVENT, headers: headersOf(number) }),
        ),
      );
      for (const answer of answers) expectProblem(answer, 503);
      await lock.release();
      expect(await countEvents(api)).toBe(0);
      await createEvent(api);
    } finally {
      await api.close();
    }
  });
});

describe('a shutdown while events wait', () => {
  let api: TestApp;

  beforeEach(async () => {
    api = await startEmptyApp({ DATABASE_STATEMENT_TIMEOUT_MS: '60000' });
  });

  afterEach(() => api.close());

  const stopped = (): Promise<boolean> =>
    fetch(`${api.url}/health/live`).then(
      () => false,
      () => true,
    );

  it.each([
    ['stores and answers them', false],
    ['stores them, though nobody waits for the answer', true],
  ])('%s', async (_name, isAborted) => {
    // Slower than all else that ends with the application.
    await api.sql(`CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$`);
    await api.sql('CREATE TRIGGER dawdle AFTER INSERT ON idempotency_keys EXECUTE FUNCTION dawdle()');
    const received = countReceived(api);
    const lock = await lockEvents(api);
    const leaving = new AbortController();
    const answers = Array.from({ length: 80 }, (_, number) =>
      send('POST', `${api.url}/api/events`, {
        json: { ...EVENT, source: 'shutdown' },
        headers: headersOf(number),
        signal: leaving.signal,
      }),
    );
    const outcomes = Promise.allSettled(answers);
    // One statement of either kind waits for the lock, the rest for these two.
    await lock.waiters(2);
    await received(80);
    if (isAborted) leaving.abort();
    const closing = api.app.close();
    await until(stopped, 'the server takes no connections');
    await lock.waiters(2);
    await lock.release();
    const statuses = (await outcomes).map((outcome) => (outcome.status === 'fulfilled' ? outcome.value.status : 0));
    expect(new Set(statuses)).toEqual(new Set([isAborted ? 0 : 201]));
    await closing;
    expect(await api.sql(`SELECT count(*)::int AS n FROM system_events WHERE source = 'shutdown'`)).toEqual([
      { n: 80 },
    ]);
  });
});
