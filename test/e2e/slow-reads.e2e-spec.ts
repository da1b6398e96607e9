import { get as httpGet } from 'node:http';
import { DataSource } from 'typeorm';
import { createEvent, EVENT, expectProblem, startEmptyApp } from '../support/events';
import { send, type Answer } from '../support/http';
import { until } from '../support/services';
import { lockedStatements, spyOnStatements } from '../support/statements';
import { useStops } from '../support/stops';
import { countReceived, lockEvents, lockTable, type TableLock } from '../support/table-lock';
import type { TestApp } from '../support/test-app';

/** Time series from the counts by minutes: new events do not wait for a lock of these. */
const SERIES = '%width_bucket%';

/** Longer than a test holds a lock. */
const PATIENT = { CACHE: 'off', DATABASE_STATEMENT_TIMEOUT_MS: '60000' };

/** Keeps the result of the first statement that matches, which is read at once, from the application until `goOn`. */
function delayRead(
  api: TestApp,
  pattern: RegExp,
): { hasResult: () => Promise<void>; goOn: () => void; restore: () => void } {
  const dataSource = api.app.get(DataSource);
  const createQueryRunner = dataSource.createQueryRunner.bind(dataSource);
  let goOn: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (goOn = resolve));
  let begun = 0;
  let read = 0;
  const spy = jest.spyOn(dataSource, 'createQueryRunner').mockImplementation((...how) => {
    const runner = createQueryRunner(...how);
    const query = runner.query.bind(runner) as (...call: unknown[]) => Promise<unknown>;
    runner.query = (async (...call: unknown[]): Promise<unknown> => {
      const isFirst = pattern.test(String(call[0])) && begun++ === 0;
      const result = await query(...call);
      if (isFirst) {
        read++;
        await gate;
      }
      return result;
    }) as typeof runner.query;
    return runner;
  });
  return {
    hasResult: () => until(() => read === 1, 'the first read has its result'),
    goOn,
    restore: () => spy.mockRestore(),
  };
}

describe('reads that may pass over all events', () => {
  const stops = useStops();

  async function start(variables: Record<string, string>): Promise<TestApp> {
    const api = await startEmptyApp({ ...PATIENT, ...variables });
    stops.push(() => api.close());
    return api;
  }

  async function lock(api: TestApp, table: 'system_events' | 'event_minutes'): Promise<TableLock> {
    const held = await (table === 'system_events' ? lockEvents(api) : lockTable(api, table));
    stops.unshift(() => held.release());
    return held;
  }

  const read = (api: TestApp, path: string): Promise<Answer> => send('GET', `${api.url}/api/events${path}`);
  /** Each another one. */
  const readSeries = (api: TestApp, number: number): Promise<Answer> => read(api, `/timeseries?since=${number + 1}d`);

  function expectRefused(answer: Answer): void {
    const { detail } = expectProblem(answer, 503);
    expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    expect(detail).toMatch(/pass over all events are waiting/);
  }

  it('take half of the connections, and leave the rest to writes, lists and probes', async () => {
    const [max, half] = [6, 3];
    const api = await start({ DATABASE_POOL_MAX: String(max) });
    const { body: event } = await createEvent(api);
    const held = await lock(api, 'event_minutes');
    const received = countReceived(api);
    const answers = Array.from({ length: half + 5 }, (_, number) => readSeries(api, number));
    await lockedStatements(api, SERIES).reach(half);
    await received(half + 5);
    for (let round = 0; round < 3; round++) {
      const message = `beside slow reads, ${round}`;
      await createEvent(api, { message });
      expect((await send('PATCH', `${api.url}/api/events/${event.id}`, { json: { message } })).status).toBe(200);
      for (const path of [`/${event.id}`, '?limit=2', '?severity=info&count=exact', '/type/deployment']) {
        expect([path, (await read(api, path)).status]).toEqual([path, 200]);
      }
      expect((await send('GET', `${api.url}/health/ready`)).status).toBe(200);
      expect(await lockedStatements(api, SERIES).count()).toBe(half);
    }
    await held.release();
    const all = await Promise.all(answers);
    expect(all.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(half);
    for (const answer of all) if (answer.status !== 200) expectRefused(answer);
    expect((await readSeries(api, 0)).status).toBe(200);
  });

  it('are refused when they wait too long, and only those that wait', async () => {
    const api = await start({ DATABASE_POOL_MAX: '2', DATABASE_POOL_MIN: '1' });
    const held = await lock(api, 'event_minutes');
    const first = readSeries(api, 0);
    await lockedStatements(api, SERIES).reach(1);
    expectRefused(await readSeries(api, 1));
    await held.release();
    expect((await first).status).toBe(200);
  });

  it('serve over a single connection too', async () => {
    const api = await start({ DATABASE_POOL_MAX: '1', DATABASE_POOL_MIN: '0' });
    await createEvent(api);
    const paths = ['/facets?since=1d', '/timeseries', '?count=exact&details.a=1', '?offset=1001', '', '/stats'];
    const answers = await Promise.all(paths.map((path) => read(api, path)));
    expect(answers.map(({ status }) => status)).toEqual(paths.map(() => 200));
    const exported = await read(api, '/export');
    expect(exported.text.trim().split('\n')).toHaveLength(1);
    expect((await send('DELETE', `${api.url}/api/events?event_type=${EVENT.event_type}`)).body).toEqual({ deleted: 1 });
  });

  it.each([
    ['facets', '/facets?since=365d', /'severity'/],
    ['time series', '/timeseries?since=365d&group_by=event_type', /width_bucket/],
    ['exact counts', '?limit=1&count=exact&details.a=1', /COUNT\(/],
    ['deep offsets', '?limit=1&offset=1001', /OFFSET 1000$/],
  ])('share equal ones that wait: %s', async (_what, path, pattern) => {
    const api = await start({ DATABASE_POOL_MAX: '40' });
    const held = await lock(api, 'system_events');
    const statements = spyOnStatements();
    stops.unshift(() => statements.mockRestore());
    const received = countReceived(api);
    const first = read(api, path);
    await until(() => statements.matching(pattern).length === 1, 'the first has begun');
    const others = Array.from({ length: 10 }, () => read(api, path));
    await received(11);
    await held.release();
    const answers = await Promise.all([first, ...others]);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(statements.matching(pattern)).toHaveLength(2);
  });

  it.each([
    ['/facets?since=365d', (body: unknown) => (body as { total: number }).total],
    ['/timeseries?since=365d', (body: unknown) => (body as { series: { total: number }[] }).series[0]?.total],
    ['?limit=1&count=exact&q=live', (_body: unknown, headers: Headers) => Number(headers.get('x-total-count'))],
  ])('show who asks after an acknowledged write all of it: %s', async (path, totalOf) => {
    const api = await start({});
    const delayed = delayRead(api, /width_bucket|'severity'|COUNT\(/);
    stops.unshift(delayed.restore);
    const early = read(api, path);
    await delayed.hasResult();
    await createEvent(api);
    const received = countReceived(api);
    const late = [read(api, path), read(api, path)];
    await received(2);
    delayed.goOn();
    const total = ({ body, headers }: Answer): number | undefined => totalOf(body, headers);
    expect(total(await early)).toBe(0);
    for (const answer of await Promise.all(late)) expect(total(answer)).toBe(1);
  });

  it('do not run when their client has left before their turn', async () => {
    const api = await start({ DATABASE_POOL_MAX: '2', DATABASE_POOL_MIN: '1' });
    const held = await lock(api, 'event_minutes');
    const statements = spyOnStatements();
    stops.unshift(() => statements.mockRestore());
    const first = readSeries(api, 0);
    await lockedStatements(api, SERIES).reach(1);
    let closed = 0;
    (api.app.getHttpServer() as NodeJS.EventEmitter).on('connection', (socket: NodeJS.EventEmitter) =>
      socket.on('close', () => closed++),
    );
    const received = countReceived(api);
    const leaving = httpGet(`${api.url}/api/events/timeseries?since=2d`, { agent: false });
    leaving.on('error', () => undefined);
    await received(1);
    leaving.destroy();
    await until(() => closed > 0, 'the service knows that the client has left');
    await held.release();
    expect((await first).status).toBe(200);
    expect((await readSeries(api, 2)).status).toBe(200);
    expect(statements.matching(/width_bucket/)).toHaveLength(2);
  });
});
