import { useProcesses, type ApiProcess } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { send, type Answer } from '../support/http';
import { until } from '../support/services';
import { useStops } from '../support/stops';
import { lockEvents, type TableLock } from '../support/table-lock';
import { Flood, type FloodBody } from './support/flood';
import { useLoads } from './support/load';
import { record } from './support/measurements';
import { peakMemory } from './support/process-figures';

/** Acknowledged events before and after each fault. */
const BETWEEN = 100;

/** Nearly 64 KiB: a larger body would count for the memory of all bodies, another bound. */
const LARGE = { event_type: 'overload', severity: 'info', message: 'large', details: { filler: 'x'.repeat(64_000) } };

/** How many of them may wait, at 64 Mi characters, and be under way, at 1 Mi; and how many batches. */
const LARGE_TAKEN = Math.ceil((65 * 1024 * 1024) / JSON.stringify(LARGE).length);
const BATCHES_TAKEN = 32 + 5;

/** Requests of each kind: more than twice what is taken. */
const CLIENTS = 2500;
const BATCHES = 80;

/** Room for all of them. */
const CONNECTIONS = { MAX_CONNECTIONS: '10000' };

/** How often bad events come. */
const BAD_ROUNDS = 5;

/** MiB that a process may take beyond those of its start. */
const MOST_MEMORY = 1200;

describe('more events come than can be stored', () => {
  const launch = useProcesses();
  const startLoad = useLoads();
  const stops = useStops();

  // After whatever uses a database.
  const createDatabase = useDatabases();

  const start = (url: string, variables: Record<string, string> = {}): Promise<ApiProcess> =>
    launch({ DATABASE_URL: url, CACHE: 'off', ...variables }).listening();

  function startFlood(api: ApiProcess, body: FloodBody, count: number): Flood {
    const flood = new Flood(api.url, body, count);
    stops.push(() => flood.close());
    return flood;
  }

  async function lock(databaseUrl: string): Promise<TableLock> {
    const held = await lockEvents({ databaseUrl });
    stops.unshift(() => held.release());
    return held;
  }

  it('and wait: 503 beyond the bounds, memory stays flat, and all goes on', async () => {
    const { url } = await createDatabase();
    // Longer than the lock is held: who is refused is refused for the bounds.
    const api = await start(url, { ...CONNECTIONS, DATABASE_STATEMENT_TIMEOUT_MS: '90000' });
    const load = startLoad(api);
    await load.more(BETWEEN);
    const atStart = await peakMemory(api.child);
    const taken = async (): Promise<number> => (await peakMemory(api.child)) - atStart;
    const held = await lock(url);
    await held.waiters(2);
    const flood = async (body: FloodBody, count: number, most: number): Promise<Flood> => {
      const started = startFlood(api, body, count);
      const isOver = (): boolean => started.refused.length >= count - most;
      await until(async () => isOver() || (await taken()) > MOST_MEMORY, 'what is over is refused', 60_000);
      return started;
    };
    const singles = await flood(largeEvent(false), CLIENTS, LARGE_TAKEN);
    const keyed = await flood(largeEvent(true), CLIENTS, LARGE_TAKEN);
    const batches = await flood(batch(), BATCHES, BATCHES_TAKEN);
    expect(await taken()).toBeLessThan(MOST_MEMORY);
    expect((await send('GET', `${api.url}/health/live`)).status).toBe(200);
    await held.release();
    const recoveryMs = [await load.recovery()];
    const refused: number[] = [];
    for (const each of [singles, keyed, batches]) {
      await each.done();
      expect(each.wrong).toEqual([]);
      expect(await each.stored(url)).toBe(each.acknowledged.length * each.eventsOfEach);
      refused.push(each.refused.length);
    }
    await expectStoredOnce(keyed, url);
    await load.more(BETWEEN);
    await load.stop();
    expect(load.wrong).toEqual([]);
    record({
      rounds: 1,
      recoveryMs,
      ...(await load.expectNothingLost(url)),
      also: `refused: ${refused.join(', ')} of ${CLIENTS} large events, as many with keys, ${BATCHES} batches; ${await taken()} MiB more memory`,
    });
  });

  /** Sends again what has a key and was refused, twice. */
  async function expectStoredOnce(flood: Flood, url: string): Promise<void> {
    const before = await flood.stored(url);
    const some = flood.refused.slice(0, 5);
    for (const isReplayed of [undefined, 'true']) {
      const answers = await Promise.all(some.map((number) => flood.post(number)));
      expect(answers.map(({ status, headers }) => [status, headers['idempotent-replayed']])).toEqual(
        some.map(() => [201, isReplayed]),
      );
    }
    expect(await flood.stored(url)).toBe(before + some.length);
  }

  it('and the database fails slowly: everybody is refused in time, though the fault goes on', async () => {
    const { url } = await createDatabase();
    const api = await start(url, CONNECTIONS);
    const load = startLoad(api);
    await load.more(BETWEEN);
    const held = await lock(url);
    await held.waiters();
    const flood = startFlood(api, largeEvent(false), LARGE_TAKEN);
    // One statement after the other would take 16 times its limit of 5 s.
    await until(() => flood.answers.size + flood.wrong.length === LARGE_TAKEN, 'everybody has an answer', 30_000);
    expect([flood.wrong, flood.acknowledged]).toEqual([[], []]);
    await held.release();
    const recoveryMs = [await load.recovery()];
    await load.more(BETWEEN);
    await load.stop();
    expect([load.wrong, load.statuses.get(0), await flood.stored(url)]).toEqual([[], undefined, 0]);
    record({
      rounds: 1,
      recoveryMs,
      ...(await load.expectNothingLost(url)),
      also: `${flood.refused.length} of ${LARGE_TAKEN} large events refused because they waited too long`,
    });
  });

  it('and some are refused by the database: only those fail, alone or in a batch', async () => {
    const { url } = await createDatabase();
    await query(url, REFUSALS);
    // Longer than the lock is held; what waits in the queue meanwhile has 5 s all the same.
    const api = await start(url, { DATABASE_STATEMENT_TIMEOUT_MS: '60000' });
    const load = startLoad(api);
    await load.more(BETWEEN);
    const post = (path: string, json: unknown, headers?: Record<string, string>): Promise<Answer> =>
      send('POST', api.url + path, { json, ...(headers && { headers }) });
    for (let round = 0; round < BAD_ROUNDS; round++) {
      const held = await lock(url);
      await held.waiters(2);
      const single = [...BAD, ...BAD, ...BAD].flatMap((event, number) => [
        post('/api/events', event),
        post('/api/events', event, { 'idempotency-key': `bad ${round} ${number}` }),
      ]);
      const mixed = post('/api/events/batch', [GOOD, ...BAD, GOOD, ...BAD, GOOD]);
      const atomic = post('/api/events/batch?atomic=true', [GOOD, ...BAD]);
      await held.waiters(4);
      await held.release();
      expect((await Promise.all(single)).map(({ status }) => status)).toEqual(single.map(() => 422));
      expect((await mixed).body).toMatchObject({ accepted: 3, rejected: 4, errors: [1, 2, 4, 5].map(refusedAt) });
      expect((await atomic).status).toBe(422);
      await load.more(BETWEEN);
    }
    await load.stop();
    expect([load.wrong, [...load.statuses.keys()]]).toEqual([[], [201]]);
    const stored = await query(url, `SELECT message, count(*)::int FROM system_events WHERE source = 'bad' GROUP BY 1`);
    expect(stored).toEqual([{ message: GOOD.message, count: 3 * BAD_ROUNDS }]);
    record({
      rounds: BAD_ROUNDS,
      ...(await load.expectNothingLost(url)),
      also: `${18 * BAD_ROUNDS} bad events among them`,
    });
  });
});

const GOOD = { event_type: 'overload', severity: 'info', message: 'good', source: 'bad' };
const BAD = ['bad of class 22', 'bad of class 23'].map((message) => ({ ...GOOD, message }));

/** What the service lets through and the database does not: 22012, a division by zero, and 23514. */
const REFUSALS = `ALTER TABLE system_events
  ADD CHECK (1 / (message <> 'bad of class 22')::int = 1), ADD CHECK (message <> 'bad of class 23')`;

const refusedAt = (index: number): object => ({ index, status: 422 });

function largeEvent(isKeyed: boolean): FloodBody {
  const source = isKeyed ? 'flood with keys' : 'flood';
  return { path: '/api/events', json: { ...LARGE, source }, source, isKeyed };
}

function batch(): FloodBody {
  const source = 'flood of batches';
  const event = { event_type: 'overload', severity: 'info', message: 'one of many', source };
  return { path: '/api/events/batch', json: Array.from({ length: 1000 }, () => event), source, isKeyed: false };
}
