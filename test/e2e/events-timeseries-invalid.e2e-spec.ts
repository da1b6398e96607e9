import { expectInvalid, startEmptyApp } from '../support/events';
import type { Answer } from '../support/http';
import type { TestApp } from '../support/test-app';
import { askTimeseries, readTimeseries, type Timeseries } from '../support/timeseries';

describe('wrong input of GET /api/events/timeseries', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterAll(() => api.close());

  const ask = (query: string): Promise<Answer<Timeseries>> => askTimeseries(api, query);

  it.each([
    ...['bucket=', 'bucket', 'bucket=2m', 'bucket=1M', 'bucket=60', 'bucket=1h&bucket=1h', 'bucket=AUTO'],
    ...['group_by=', 'group_by=message', 'group_by=severity&group_by=source', 'group_by=Severity', 'group_by=id'],
    ...[
      'tz=',
      'tz=Nowhere/Atlantis',
      'tz=%2B01:00',
      'tz=UTC&tz=UTC',
      'tz=Europe/Berlin%00',
      "tz=UTC'; SELECT 1; --",
      'tz=Europe%2FBerlin%20',
    ],
    ...[
      'since=',
      'since=tomorrow',
      'since=1h&since=2h',
      'since=2026-01-31',
      'since=2026-01-31T09:00:00',
      'since=infinity',
    ],
    ...[
      'until=',
      'until=now',
      'until=1h&until=2h',
      'until=2026-02-30T00:00:00Z',
      'since=2999-01-01T00:00:00Z',
      'since=0s',
    ],
    ...['event_type=', 'severity=fatal', 'min_severity=', 'source=', 'q=', 'details.=x', 'details.a='],
    ...[
      'limit=1',
      'offset=0',
      'cursor=x',
      'sort=timestamp',
      'count=exact',
      'top=3',
      'buckets=1h',
      '__proto__=x',
      'constructor=x',
    ],
  ])('is 422 for ?%s', async (query) => {
    expectInvalid(await ask(query), decodeURIComponent(query.split(/[=&]/, 1)[0] ?? ''));
  });

  it.each([
    ['since=2026-01-31T09:00:00Z&until=2026-01-31T09:00:00Z', 'until'],
    ['since=2026-01-31T09:00:00Z&until=2026-01-31T08:59:59.999Z', 'until'],
    ['since=1h&until=1h', 'until'],
    ['since=1h&until=2h', 'until'],
  ])('is 422 for ?%s', async (query, parameter) => {
    expectInvalid(await ask(query), parameter);
  });

  it('is named with all else that is wrong', async () => {
    expectInvalid(await ask('bucket=2m&group_by=id&tz=x&colour=red'), 'colour', 'bucket', 'group_by', 'tz');
  });

  it('is not a range of one millisecond', async () => {
    const { series } = await readTimeseries(api, 'since=2026-01-31T09:00:00Z&until=2026-01-31T09:00:00.001Z');
    expect(series[0]?.points).toEqual([['2026-01-31T09:00:00Z', 0]]);
  });
});
