import { createEvent, EVENT, expectProblem, startEmptyApp } from '../support/events';
import { send, type Answer } from '../support/http';
import { countReceived, lockTable } from '../support/table-lock';
import type { TestApp } from '../support/test-app';

/** Batches under way at once, half of the pool, and those that may wait. */
const AT_ONCE = 2;
const MAX_WAITING = 32;

describe('more batches than connections', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp({
      DATABASE_POOL_MAX: String(2 * AT_ONCE),
      DATABASE_CONNECT_TIMEOUT_MS: '2000',
      // Longer than a test holds a lock.
      DATABASE_STATEMENT_TIMEOUT_MS: '60000',
    });
  });

  afterAll(() => api.close());

  const postBatch = (key: string): Promise<Answer<{ accepted: number }>> =>
    send('POST', `${api.url}/api/events/batch`, { json: [EVENT, EVENT], headers: { 'idempotency-key': key } });

  it('leaves connections to others, waits in turn and answers 503 beyond', async () => {
    const received = countReceived(api);
    // Only what has a key waits for it.
    const lock = await lockTable(api, 'idempotency_keys');
    const count = AT_ONCE + MAX_WAITING;
    const answers = Array.from({ length: count }, (_, number) => postBatch(`turn ${number}`));
    try {
      await lock.waiters(AT_ONCE);
      await received(count);
      await createEvent(api);
      const refused = await postBatch('one too many');
      expectProblem(refused, 503);
      expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
      expect(await lock.waiters()).toHaveLength(AT_ONCE);
    } finally {
      await lock.release();
    }
    const all = await Promise.all(answers);
    const stored = all.filter(({ status }) => status === 200);
    expect(stored.length).toBeGreaterThanOrEqual(AT_ONCE);
    // Who waited longer than the limit is refused too.
    for (const answer of all) if (answer.status !== 200) expectProblem(answer, 503);
    expect(await api.sql('SELECT count(*)::int AS n FROM system_events')).toEqual([{ n: 2 * stored.length + 1 }]);
    expect((await postBatch('one too many')).body.accepted).toBe(2);
  });
});
