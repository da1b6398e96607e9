import { expectInvalid, startEmptyApp } from '../support/events';
import type { Answer } from '../support/http';
import type { TestApp } from '../support/test-app';
import { askTimeseries, readTimeseries, storeEvents, type TimedEvent, type Timeseries } from '../support/timeseries';

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

describe('GET /api/events/timeseries', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  beforeEach(() => api.sql('TRUNCATE system_events'));

  afterAll(() => api.close());

  const read = (query: string): Promise<Timeseries> => readTimeseries(api, query);
  const ask = (query: string): Promise<Answer<Timeseries>> => askTimeseries(api, query);
  const store = (events: TimedEvent[]): Promise<void> => storeEvents(api, events);

  it('counts the last 24 hours, in buckets that a chart can show', async () => {
    const now = Date.now();
    await store([
      { at: new Date(now - HOUR_MS).toISOString(), times: 3 },
      { at: new Date(now - 25 * HOUR_MS).toISOString() },
    ]);
    const answer = await ask('');
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(Object.keys(answer.body)).toEqual(['bucket', 'since', 'until', 'series']);
    const { bucket, since, until, series } = answer.body;
    expect(bucket).toBe('15m');
    expect(Date.parse(until) - Date.parse(since)).toBe(DAY_MS);
    expect(Date.parse(until)).toBeGreaterThanOrEqual(now);
    expect(Date.parse(until)).toBeLessThanOrEqual(Date.now());
    expect(series).toMatchObject([{ key: null, total: 3 }]);
    expect(Object.keys(series[0] ?? {})).toEqual(['key', 'points', 'total']);
  });

  it('counts every event of the range once, and shows buckets without any', async () => {
    await store([
      { at: '2026-01-31T08:59:59.999Z' },
      { at: '2026-01-31T09:00:00.000Z', times: 2 },
      { at: '2026-01-31T09:59:59.999Z', times: 3 },
      { at: '2026-01-31T11:00:00.000Z', times: 4 },
      { at: '2026-01-31T11:29:59.999Z', times: 5 },
      { at: '2026-01-31T11:30:00.000Z', times: 6 },
    ]);
    expect(await read('bucket=1h&since=2026-01-31T09:00:00Z&until=2026-01-31T12:30:00%2B01:00')).toEqual({
      bucket: '1h',
      since: '2026-01-31T09:00:00.000Z',
      until: '2026-01-31T11:30:00.000Z',
      series: [
        {
          key: null,
          points: [
            ['2026-01-31T09:00:00Z', 5],
            ['2026-01-31T10:00:00Z', 0],
            ['2026-01-31T11:00:00Z', 9],
          ],
          total: 14,
        },
      ],
    });
  });

  it('shows the start of a bucket that the range cuts, and counts in it what is in the range', async () => {
    await store(
      ['00.000', '10.000', '10.001', '20.000', '59.999'].map((second) => ({ at: `2026-01-31T09:07:${second}Z` })),
    );
    const points = async (since: string, until: string): Promise<unknown> =>
      (await read(`bucket=5m&since=2026-01-31T09:${since}Z&until=2026-01-31T09:${until}Z`)).series[0]?.points;
    expect(await points('07:10.001', '08:00')).toEqual([['2026-01-31T09:05:00Z', 3]]);
    expect(await points('07:10', '07:20')).toEqual([['2026-01-31T09:05:00Z', 2]]);
    expect(await points('07:00', '07:59.999')).toEqual([['2026-01-31T09:05:00Z', 4]]);
    expect(await points('04:59.999', '10:00')).toEqual([
      ['2026-01-31T09:00:00Z', 0],
      ['2026-01-31T09:05:00Z', 5],
    ]);
    expect(await points('05:00', '10:00.001')).toEqual([
      ['2026-01-31T09:05:00Z', 5],
      ['2026-01-31T09:10:00Z', 0],
    ]);
  });

  it.each([
    ['2h', '1m', 120],
    ['7201s', '5m', 25],
    ['10h', '5m', 120],
    ['36001s', '15m', 41],
    ['30h', '15m', 120],
    ['31h', '1h', 31],
    ['5d', '1h', 120],
    ['121h', '6h', 21],
    ['30d', '6h', 120],
    ['31d', '1d', 31],
    ['3650d', '1d', 3650],
  ])('takes for %s buckets of %s by itself', async (age, bucket, count) => {
    const answer = await read(`since=${age}`);
    const [series] = answer.series;
    expect(answer.bucket).toBe(bucket);
    // One more where the range cuts two.
    expect([count, count + 1]).toContain(series?.points.length);
    expect(await read(`since=${age}&bucket=auto`)).toMatchObject({ bucket });
  });

  it.each([
    ['1m', 60],
    ['5m', 300],
    ['15m', 900],
    ['1h', 3600],
    ['6h', 21_600],
    ['1d', 86_400],
  ])('makes 11,000 points of %s, and no more', async (bucket, seconds) => {
    const until = Date.parse('2026-01-31T00:00:00Z');
    const since = (points: number): string => new Date(until - points * seconds * 1000).toISOString();
    const { series } = await read(`bucket=${bucket}&since=${since(11_000)}&until=2026-01-31T00:00:00Z`);
    expect(series[0]?.points).toHaveLength(11_000);
    expectInvalid(await ask(`bucket=${bucket}&since=${since(11_001)}&until=2026-01-31T00:00:00Z`), 'bucket');
    const offByOne = new Date(Date.parse(since(11_000)) - 1).toISOString();
    expectInvalid(await ask(`bucket=${bucket}&since=${offByOne}&until=2026-01-31T00:00:00Z`), 'bucket');
  });

  it('reaches from the first year to the last one', async () => {
    await store([{ at: '0001-01-01T00:00:00Z' }, { at: '0001-01-01T00:00:30Z' }, { at: '9999-12-31T23:59:59.999Z' }]);
    const first = await read('until=0001-01-01T00:00:30Z');
    expect(first).toMatchObject({ bucket: '1m', since: '0001-01-01T00:00:00.000Z' });
    expect(first.series[0]?.points).toEqual([['0001-01-01T00:00:00Z', 1]]);
    for (const query of ['', '&event_type=deployment']) {
      const days = 'since=0001-01-01T00:00:00Z&until=0001-01-01T12:00:00Z&bucket=1d&tz=America/New_York';
      expect((await read(days + query)).series[0]?.points).toEqual([
        ['0000-12-31T04:56:02Z', 2],
        ['0001-01-01T04:56:02Z', 0],
      ]);
      const last = 'since=9999-12-31T23:00:00.001Z&until=9999-12-31T23:59:59.999Z&bucket=1h';
      expect((await read(last + query)).series[0]?.points).toEqual([['9999-12-31T23:00:00Z', 0]]);
    }
    expectInvalid(await ask('until=0001-01-01T00:00:00Z'), 'until');
  });

  it.each(['', 'bucket=auto', 'bucket=1m', 'bucket=1d', 'bucket=1d&tz=Asia/Tokyo'])(
    'refuses thousands of years: %s',
    async (query) => {
      expectInvalid(await ask(`since=0100-01-01T00:00:00Z&until=9999-12-31T23:59:59.999Z&${query}`), 'bucket');
    },
  );

  describe('the days of a time zone', () => {
    it.each([
      [
        'Europe/Berlin',
        '2026-03-28T12:00:00Z',
        ['2026-03-27T23:00:00Z', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z'],
        [24, 23, 24],
      ],
      [
        'Europe/Berlin',
        '2026-10-24T12:00:00Z',
        ['2026-10-23T22:00:00Z', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'],
        [24, 25, 24],
      ],
      [
        'Asia/Kolkata',
        '2026-06-01T12:00:00Z',
        ['2026-05-31T18:30:00Z', '2026-06-01T18:30:00Z', '2026-06-02T18:30:00Z'],
        [24, 24, 24],
      ],
      [
        'Australia/Lord_Howe',
        '2026-04-04T00:00:00Z',
        ['2026-04-03T13:00:00Z', '2026-04-04T13:00:00Z', '2026-04-05T13:30:00Z'],
        [24, 24.5, 24],
      ],
      [
        'America/Havana',
        '2026-10-31T12:00:00Z',
        ['2026-10-31T04:00:00Z', '2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z'],
        [24, 25, 24],
      ],
      [
        'UTC',
        '2026-03-28T12:00:00Z',
        ['2026-03-28T00:00:00Z', '2026-03-29T00:00:00Z', '2026-03-30T00:00:00Z'],
        [24, 24, 24],
      ],
    ])('%s around %s', async (zone, noon, days, hours) => {
      const [first = ''] = days;
      const until = new Date(Date.parse(first) + hours.reduce((sum, each) => sum + each, 0) * HOUR_MS).toISOString();
      // An event every half hour, so that a day's count is twice its hours.
      await api.sql(
        `INSERT INTO system_events (event_type, severity, message, "timestamp")
         SELECT 'tick', 'info', 'x', $1::timestamptz + i * interval '30 minutes' FROM generate_series(-100, 300) AS i`,
        [first],
      );
      const points = days.map((day, place) => [day, 2 * (hours[place] ?? 0)]);
      const span = `bucket=1d&tz=${zone}&since=${first}&until=${until}`;
      // From the minutes that are counted, and from the events themselves.
      for (const query of [span, `${span}&event_type=tick`, `${span}&group_by=source`]) {
        expect([query, (await read(query)).series[0]?.points]).toEqual([query, points]);
      }
      const cut = await read(`bucket=1d&tz=${zone}&since=${noon}&until=${days[2]}`);
      expect(cut.series[0]?.points.map(([start]) => start)).toEqual(days.slice(0, 2));
    });

    it('are those of UTC unless told otherwise, and mean nothing to shorter buckets', async () => {
      const span = 'since=2026-01-31T10:10:00Z&until=2026-01-31T20:00:00Z';
      expect(await read(`${span}&bucket=1d`)).toEqual(await read(`${span}&bucket=1d&tz=UTC`));
      expect(await read(`${span}&bucket=6h`)).toEqual(await read(`${span}&bucket=6h&tz=Asia/Kolkata`));
      expect((await read(`${span}&bucket=6h&tz=Asia/Kolkata`)).series[0]?.points).toEqual([
        ['2026-01-31T06:00:00Z', 0],
        ['2026-01-31T12:00:00Z', 0],
        ['2026-01-31T18:00:00Z', 0],
      ]);
    });

    it('may begin at odd seconds', async () => {
      await store([{ at: '1937-01-01T00:44:29.999Z' }, { at: '1937-01-01T00:44:30.000Z', times: 2 }]);
      const span = 'since=1936-12-31T12:00:00Z&until=1937-01-02T00:00:00Z';
      expect((await read(`bucket=1d&tz=Africa/Monrovia&${span}`)).series[0]?.points).toEqual([
        ['1936-12-31T00:44:30Z', 1],
        ['1937-01-01T00:44:30Z', 2],
      ]);
    });
  });
});
