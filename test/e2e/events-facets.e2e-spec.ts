import fc from 'fast-check';
import { expectInvalid, startEmptyApp, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import type { TestApp } from '../support/test-app';

interface Count {
  value: string | null;
  count: number;
}

interface Facets {
  total: number;
  severity: Count[];
  event_type: Count[];
  source: Count[];
}

interface Timeseries {
  series: { key: string | null; points: [string, number][]; total: number }[];
}

const SEVERITIES = ['info', 'warning', 'error', 'critical'];
const FIELDS = ['severity', 'event_type', 'source'] as const;

/** The most frequent values first, then by value, then none. */
const byCount = (one: Count, other: Count): number =>
  other.count - one.count ||
  Number(one.value === null) - Number(other.value === null) ||
  ((one.value ?? '') < (other.value ?? '') ? -1 : 1);

function countBy(events: EventBody[], field: (typeof FIELDS)[number]): Count[] {
  const counts = new Map<string | null, number>();
  for (const { [field]: value } of events) counts.set(value, (counts.get(value) ?? 0) + 1);
  return Array.from(counts, ([value, count]) => ({ value, count })).sort(byCount);
}

describe('GET /api/events/facets', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterAll(() => api.close());

  const ask = <Body = Facets>(query: string, path = '/facets'): Promise<Answer<Body>> =>
    send('GET', `${api.url}/api/events${path}?${query}`);

  describe('of some events', () => {
    beforeAll(() =>
      api.sql(
        `INSERT INTO system_events (event_type, severity, message, source, "timestamp")
         SELECT 'type-' || lpad(i::text, 3, '0'), (ARRAY['info', 'error'])[1 + i % 2], 'event ' || i % 10, nullif('source-' || i % 3, 'source-2'), timestamptz '2026-01-31T09:00:00Z' + i * interval '1 second'
         FROM generate_series(0, 118) AS i`,
      ),
    );

    afterAll(() => api.sql('TRUNCATE system_events'));

    it('has the most frequent values, 20 unless told otherwise', async () => {
      const answer = await ask('');
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
      expect(Object.keys(answer.body)).toEqual(['total', 'severity', 'event_type', 'source']);
      expect(answer.body).toMatchObject({
        total: 119,
        severity: [
          { value: 'info', count: 60 },
          { value: 'error', count: 59 },
        ],
        source: [
          { value: 'source-0', count: 40 },
          { value: 'source-1', count: 40 },
          { value: null, count: 39 },
        ],
      });
      const types = Array.from({ length: 20 }, (_, place) => ({
        value: `type-${String(place).padStart(3, '0')}`,
        count: 1,
      }));
      expect(answer.body.event_type).toEqual(types);
    });

    it.each([1, 2, 99, 100])('has %i of them when asked to', async (top) => {
      for (const filter of ['', '&since=0100-01-01T00:00:00Z']) {
        const { body } = await ask(`top=${top}${filter}`);
        expect(FIELDS.map((field) => body[field].length)).toEqual([
          Math.min(top, 2),
          Math.min(top, 119),
          Math.min(top, 3),
        ]);
        expect(body.total).toBe(119);
      }
    });

    it('counts what the filters find', async () => {
      expect((await ask('severity=error&source=source-0&top=1')).body).toEqual({
        total: 20,
        severity: [{ value: 'error', count: 20 }],
        event_type: [{ value: 'type-003', count: 1 }],
        source: [{ value: 'source-0', count: 20 }],
      });
      expect((await ask('q=event+7&since=2026-01-31T09:00:30Z&until=2026-01-31T09:01:00Z')).body).toEqual({
        total: 3,
        severity: [{ value: 'error', count: 3 }],
        event_type: ['037', '047', '057'].map((number) => ({ value: `type-${number}`, count: 1 })),
        source: [
          { value: 'source-0', count: 1 },
          { value: 'source-1', count: 1 },
          { value: null, count: 1 },
        ],
      });
    });

    it.each(['event_type=nothing', 'q=nothing', 'severity=info&min_severity=error', 'until=2026-01-31T09:00:00Z'])(
      'finds nothing with ?%s',
      async (query) => {
        expect((await ask(query)).body).toEqual({ total: 0, severity: [], event_type: [], source: [] });
      },
    );
  });

  it.each([
    ...['top=0', 'top=101', 'top=-1', 'top=', 'top=1e1', 'top=1.5', 'top=5&top=5', 'top=all', 'top=9007199254740993'],
    ...['since=', 'since=yesterday', 'until=2026-02-30T00:00:00Z', 'until=1h&until=2h', 'event_type=', 'source=%00'],
    ...['severity=INFO', 'min_severity=fatal', 'q=', 'details.=x', 'limit=1', 'bucket=1h', 'tops=1', '__proto__=x'],
  ])('answers 422 to ?%s', async (query) => {
    expectInvalid(await ask(query), decodeURIComponent(query.split(/[=&]/, 1)[0] ?? ''));
  });

  it('answers 422 to a range that ends before it begins', async () => {
    expectInvalid(await ask('since=2026-01-31T09:00:00Z&until=2026-01-31T08:59:59.999Z'), 'until');
  });

  it('agrees with the list, the timeseries and the exact count, whatever the filters', async () => {
    const START = Date.parse('2026-01-31T00:00:00Z');
    const SPAN_MS = 3 * 60 * 60 * 1000;
    await api.sql(
      `INSERT INTO system_events (event_type, severity, message, details, source, "timestamp")
       SELECT 'type-' || i % 13, (ARRAY['info', 'warning', 'error', 'critical'])[1 + i * 7 % 11 % 4], 'word' || i % 3, json_build_object('n', i % 5)::jsonb,
         CASE WHEN i % 17 > 2 THEN 'source-' || i * i % 14 END, to_timestamp(($1 + (i * 7919::bigint * 104729) % $2) / 1000.0)
       FROM generate_series(1, 900) AS i`,
      [START, SPAN_MS],
    );
    // Some of them folded in, some not, some taken back.
    await api.sql(`DELETE FROM system_events WHERE id % 19 = 0`);
    await api.sql(`UPDATE system_events SET "timestamp" = date_trunc('minute', "timestamp") WHERE id % 11 = 0`);

    const minutes = fc.integer({ min: -10, max: SPAN_MS / 60_000 + 10 }).map((minute) => START + minute * 60_000);
    const time = fc.oneof(minutes, fc.integer({ min: START - 1000, max: START + SPAN_MS + 1000 }));
    const some = (values: string[]): fc.Arbitrary<string[]> => fc.subarray(values, { maxLength: 3 });
    const filters = fc.record({
      times: fc.tuple(time, time).filter(([one, other]) => one !== other),
      event_type: some(Array.from({ length: 13 }, (_, place) => `type-${place}`)),
      severity: some(SEVERITIES),
      source: some(Array.from({ length: 14 }, (_, place) => `source-${place}`)),
      min_severity: fc.option(fc.constantFrom(...SEVERITIES)),
      q: fc.option(fc.constantFrom('word1', '-word2')),
      n: fc.option(fc.constantFrom('1', '4')),
    });
    const parts = fc.subarray(['times', 'event_type', 'severity', 'source', 'min_severity', 'q', 'n'] as const, {
      maxLength: 4,
    });
    const bucket = fc.constantFrom('1m', '5m', '15m', '1h', '6h', '1d');

    await fc.assert(
      fc.asyncProperty(filters, parts, bucket, fc.integer({ min: 1, max: 14 }), async (values, chosen, size, top) => {
        const [since = 0, until = 0] = [...values.times].sort((one, other) => one - other);
        const span = `since=${new Date(since).toISOString()}&until=${new Date(until).toISOString()}`;
        const given = (part: (typeof chosen)[number]): string[] => {
          if (part === 'times') return [span];
          const value = values[part];
          return [value ?? []].flat().map((each) => `${part === 'n' ? 'details.n' : part}=${each}`);
        };
        const query = chosen.flatMap(given).join('&');
        const listed = await ask<EventBody[]>(`${query}&limit=1000&count=exact`, '');
        const events = listed.body;
        expect([query, listed.headers.get('x-total-count')]).toEqual([query, String(events.length)]);

        const facets = (await ask(`${query}&top=${top}`)).body;
        expect([query, facets]).toEqual([
          query,
          {
            total: events.length,
            ...Object.fromEntries(FIELDS.map((field) => [field, countBy(events, field).slice(0, top)])),
          },
        ]);

        const range = chosen.includes('times')
          ? query
          : `${query}&since=2026-01-30T23:00:00Z&until=2026-01-31T04:00:00Z`;
        for (const field of [undefined, ...FIELDS]) {
          const { series } = (
            await ask<Timeseries>(`${range}&bucket=${size}${field ? `&group_by=${field}` : ''}`, '/timeseries')
          ).body;
          expectSeries(series, events, field, query);
        }
      }),
      { numRuns: 80, seed: 3 },
    );
  });

  function expectSeries(
    series: Timeseries['series'],
    events: EventBody[],
    field: (typeof FIELDS)[number] | undefined,
    query: string,
  ): void {
    const first = field
      ? countBy(events, field)
          .slice(0, 10)
          .map(({ value }) => value)
      : [null];
    for (const { key, points, total } of series) {
      const isRest = key === '_other_';
      const own = events.filter((event) => {
        if (field === undefined) return true;
        return isRest ? !first.includes(event[field]) : event[field] === key;
      });
      const counts = points.map(([start], place) => {
        const end = points[place + 1]?.[0] ?? '9999';
        return own.filter(
          ({ timestamp }) => timestamp.slice(0, 19) >= start.slice(0, 19) && timestamp.slice(0, 19) < end.slice(0, 19),
        ).length;
      });
      expect([query, field, key, points.map(([, count]) => count), total]).toEqual([
        query,
        field,
        key,
        counts,
        own.length,
      ]);
    }
    expect([query, field, series.reduce((sum, { total }) => sum + total, 0)]).toEqual([query, field, events.length]);
    if (field === 'severity') return;
    const keys = series.map(({ key }) => key);
    expect([query, keys.filter((key) => key !== '_other_')]).toEqual([query, first]);
  }
});
