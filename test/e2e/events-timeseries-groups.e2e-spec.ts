import { startEmptyApp } from '../support/events';
import type { TestApp } from '../support/test-app';
import { readTimeseries, storeEvents, type TimedEvent, type Timeseries } from '../support/timeseries';

describe('GET /api/events/timeseries, grouped', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  beforeEach(() => api.sql('TRUNCATE system_events'));

  afterAll(() => api.close());

  const read = (query: string): Promise<Timeseries> => readTimeseries(api, query);
  const store = (events: TimedEvent[]): Promise<void> => storeEvents(api, events);

  const SPAN = 'since=2026-01-31T00:00:00Z&until=2026-02-01T00:00:00Z&bucket=1d';
  const AT = '2026-01-31T10:00:00Z';
  const keys = ({ series }: Timeseries): unknown => series.map(({ key, total }) => [key, total]);

  it('by severity, has all four in their order', async () => {
    await store([
      { severity: 'error', at: AT, times: 5 },
      { severity: 'info', at: AT },
    ]);
    expect(keys(await read(`${SPAN}&group_by=severity`))).toEqual([
      ['info', 1],
      ['warning', 0],
      ['error', 5],
      ['critical', 0],
    ]);
    expect(await read(`${SPAN}&group_by=severity&event_type=deployment`)).toEqual(
      await read(`${SPAN}&group_by=severity`),
    );
    expect((await read(`${SPAN}&group_by=severity`)).series[1]).toEqual({
      key: 'warning',
      points: [['2026-01-31T00:00:00Z', 0]],
      total: 0,
    });
    expect(keys(await read(`${SPAN}&group_by=severity&min_severity=error`))).toEqual([
      ['error', 5],
      ['critical', 0],
    ]);
    expect(keys(await read(`${SPAN}&group_by=severity&severity=critical&severity=info`))).toEqual([
      ['info', 1],
      ['critical', 0],
    ]);
    expect(keys(await read(`${SPAN}&group_by=severity&severity=info&min_severity=error`))).toEqual([]);
  });

  it('by severity, has others too where the table holds them', async () => {
    await api.sql('ALTER TABLE system_events DROP CONSTRAINT system_events_severity_check');
    await store([
      { severity: 'notice', at: AT, times: 5 },
      { severity: 'info', at: AT },
    ]);
    expect(keys(await read(`${SPAN}&group_by=severity`))).toEqual([
      ['info', 1],
      ['warning', 0],
      ['error', 0],
      ['critical', 0],
      ['notice', 5],
    ]);
    await api.sql('TRUNCATE system_events');
    await api.sql(
      `ALTER TABLE system_events ADD CONSTRAINT system_events_severity_check CHECK (severity IN ('info', 'warning', 'error', 'critical'))`,
    );
  });

  it('by source, has the most frequent first, ties by name, and null for none', async () => {
    await store([
      ...['b', 'a', 'B', 'ä', 'Z'].map((source) => ({ source, at: AT, times: 2 })),
      { source: null, at: AT, times: 2 },
      { source: 'rare', at: AT },
      { source: '__proto__', at: AT, times: 7 },
    ]);
    expect(keys(await read(`${SPAN}&group_by=source`))).toEqual([
      ['__proto__', 7],
      ['B', 2],
      ['Z', 2],
      ['a', 2],
      ['b', 2],
      ['ä', 2],
      [null, 2],
      ['rare', 1],
    ]);
  });

  it.each([
    ['event_type', 'type'],
    ['source', 'source'],
  ])('by %s, has the first ten and the rest as one', async (name, field) => {
    const some = (count: number): TimedEvent[] =>
      Array.from({ length: count }, (_, place) => ({ [field]: `key-${place}`, at: AT, times: 20 - place }));
    await store(some(10));
    const ten = Array.from({ length: 10 }, (_, place) => [`key-${place}`, 20 - place]);
    expect(keys(await read(`${SPAN}&group_by=${name}`))).toEqual(ten);
    await store([
      { [field]: 'key-11', at: AT },
      { [field]: 'key-12', at: '2026-01-31T00:00:00Z', times: 2 },
    ]);
    const answer = await read(`${SPAN}&group_by=${name}`);
    expect(keys(answer)).toEqual([...ten, ['_other_', 3]]);
    expect(answer.series.at(-1)?.points).toEqual([['2026-01-31T00:00:00Z', 3]]);
  });

  it('by what there is nothing of, has no series', async () => {
    expect(keys(await read(`${SPAN}&group_by=event_type`))).toEqual([]);
    expect(keys(await read(`${SPAN}&group_by=source`))).toEqual([]);
    expect(keys(await read(SPAN))).toEqual([[null, 0]]);
  });
});
