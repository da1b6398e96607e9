import { createEvent, EVENT, expectProblem, startEmptyApp } from '../support/events';
import { send, type Answer } from '../support/http';
import { holdLocks, lockedStatements } from '../support/statements';
import { useStops } from '../support/stops';
import { countReceived } from '../support/table-lock';
import type { TestApp } from '../support/test-app';

const POOL = 10;
const CHANGES = 12;

/** Changes and deletions that wait for the lock of a row. */
const LOCKING = '%FOR UPDATE%';

const LOCK = 'SELECT FROM system_events WHERE id = ANY ($1::bigint[]) FOR UPDATE';

describe('events that another session locks', () => {
  const stops = useStops();

  async function start(variables: Record<string, string> = {}): Promise<TestApp> {
    const started = await startEmptyApp({
      DATABASE_POOL_MAX: String(POOL),
      // Longer than a test holds a lock: the limit on locks is what ends the waiting.
      DATABASE_STATEMENT_TIMEOUT_MS: '60000',
      ...variables,
    });
    stops.push(() => started.close());
    return started;
  }

  const startPatient = (): Promise<TestApp> => start({ DATABASE_LOCK_TIMEOUT_MS: '60000' });

  async function create(api: TestApp, count: number): Promise<number[]> {
    const created = await Promise.all(Array.from({ length: count }, () => createEvent(api)));
    return created.map(({ body }) => body.id);
  }

  async function lock(api: TestApp, ids: number[]): Promise<() => Promise<void>> {
    const release = await holdLocks(api, LOCK, [ids]);
    stops.unshift(release);
    return release;
  }

  const change = (api: TestApp, method: string, id: number | undefined): Promise<Answer> =>
    send(method, `${api.url}/api/events/${id}`, method === 'DELETE' ? {} : { json: { message: `by ${method}` } });

  function expectRefused(answer: Answer): void {
    const { detail } = expectProblem(answer, 503);
    expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    expect(detail).toMatch(/Another change that takes long locks|Too many changes of events are waiting/);
  }

  it.each(['PATCH', 'PUT', 'DELETE'])('cost one connection each, and %s of them ends with 503', async (method) => {
    const api = await start();
    const [locked, free] = await create(api, 2);
    const release = await lock(api, [locked ?? 0]);
    const received = countReceived(api);
    let answered = 0;
    const answers = Array.from({ length: CHANGES }, () => change(api, method, locked).finally(() => answered++));
    await lockedStatements(api, LOCKING).reach(1);
    await received(CHANGES);
    const waiting = [1];
    while (answered < CHANGES) {
      waiting.push(await lockedStatements(api, LOCKING).count());
      await createEvent(api);
      expect((await change(api, 'PATCH', free)).status).toBe(200);
      expect((await send('GET', `${api.url}/health/ready`)).status).toBe(200);
    }
    expect(Math.max(...waiting)).toBe(1);
    (await Promise.all(answers)).forEach(expectRefused);
    expect((await send('GET', `${api.url}/api/events/${locked}`)).body).toMatchObject({ message: EVENT.message });
    await release();
    expect((await change(api, method, locked)).status).toBe(method === 'DELETE' ? 204 : 200);
  });

  it('take half of the connections, however many they are', async () => {
    const patient = await startPatient();
    const ids = await create(patient, CHANGES);
    const release = await lock(patient, ids);
    const received = countReceived(patient);
    const answers = ids.map((id) => change(patient, 'PATCH', id));
    await lockedStatements(patient, LOCKING).reach(POOL / 2);
    await received(CHANGES);
    for (let round = 0; round < 5; round++) {
      await createEvent(patient);
      expect(await lockedStatements(patient, LOCKING).count()).toBe(POOL / 2);
    }
    await release();
    const all = await Promise.all(answers);
    expect(all.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(POOL / 2);
    for (const answer of all) if (answer.status !== 200) expectRefused(answer);
  });

  it('end a deletion by filters with 503, which tells what it has deleted', async () => {
    const api = await start();
    const [, , locked] = await create(api, 3);
    const release = await lock(api, [locked ?? 0]);
    const answer = await send('DELETE', `${api.url}/api/events?event_type=${EVENT.event_type}`);
    expect(expectProblem(answer, 503).detail).toMatch(/Another change that takes long locks/);
    expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    await release();
    expect((await send('DELETE', `${api.url}/api/events?event_type=${EVENT.event_type}`)).body).toEqual({ deleted: 3 });
  });

  it('are changed when the lock ends in time', async () => {
    const patient = await startPatient();
    const [id] = await create(patient, 1);
    const release = await lock(patient, [id ?? 0]);
    const changed = change(patient, 'PATCH', id);
    await lockedStatements(patient, LOCKING).reach(1);
    await release();
    expect(await changed).toMatchObject({ status: 200, body: { message: 'by PATCH' } });
  });
});
