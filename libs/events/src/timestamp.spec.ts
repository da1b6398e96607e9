import { checkTimestamp, parseTimestamp } from './timestamp';

const DAY_MS = 24 * 60 * 60 * 1000;

describe('parseTimestamp', () => {
  it.each([
    ['2026-01-31T09:30:00Z', '2026-01-31T09:30:00.000Z'],
    ['2026-01-31t09:30:00z', '2026-01-31T09:30:00.000Z'],
    ['2026-01-31T09:30:00.1Z', '2026-01-31T09:30:00.100Z'],
    ['2026-01-31T09:30:00.012Z', '2026-01-31T09:30:00.012Z'],
    ['2026-01-31T09:30:00.9999999Z', '2026-01-31T09:30:00.999Z'],
    [`2026-01-31T09:30:00.${'9'.repeat(5000)}Z`, '2026-01-31T09:30:00.999Z'],
    ['2026-01-31T09:30:00+23:59', '2026-01-30T09:31:00.000Z'],
    ['2026-01-31T09:30:00-00:00', '2026-01-31T09:30:00.000Z'],
    ['2026-12-31T23:30:00-01:00', '2027-01-01T00:30:00.000Z'],
    ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00.000Z'],
    ['0000-01-01T00:00:00Z', undefined],
    ['1900-02-29T00:00:00Z', undefined],
    ['2026-02-30T00:00:00Z', undefined],
    ['2026-04-31T00:00:00Z', undefined],
    ['2026-00-01T00:00:00Z', undefined],
    ['2026-01-00T00:00:00Z', undefined],
    ['2026-01-31T09:60:00Z', undefined],
    ['2026-01-31T09:30:60Z', undefined],
    ['2026-01-31T09:30:00+24:00', undefined],
    ['2026-01-31T09:30:00+01', undefined],
    ['2026-01-31T09:30:00 01:00', undefined],
    ['2026-01-31T09:30:00.Z', undefined],
    ['2026-01-31T09:30Z', undefined],
    ['2026-01-31 09:30:00Z', undefined],
    [' 2026-01-31T09:30:00Z', undefined],
    ['2026-01-31T09:30:00Z\n', undefined],
    ['٢٠٢٦-01-31T09:30:00Z', undefined],
    ['', undefined],
  ])('reads %j as %s', (text, expected) => {
    expect(parseTimestamp(text)?.toISOString()).toBe(expected);
  });
});

describe('checkTimestamp', () => {
  beforeEach(() => jest.useFakeTimers({ now: new Date('2026-01-31T00:00:00Z') }));

  afterEach(() => jest.useRealTimers());

  it.each([0, Date.parse('2026-01-31T00:00:00Z') + DAY_MS])('takes the edge %i', (edge) => {
    expect(checkTimestamp(new Date(edge).toISOString())).toBeUndefined();
  });

  it.each([-1, Date.parse('2026-01-31T00:00:00Z') + DAY_MS + 1])('refuses %i, just beyond', (beyond) => {
    expect(checkTimestamp(new Date(beyond).toISOString())).toBe('must lie between 1970 and one day ahead');
  });

  it.each([undefined, null, 0, {}, [], ['2026-01-31T00:00:00Z'], 'infinity'])('refuses %j', (value) => {
    expect(checkTimestamp(value)).toMatch(/^must be a time with a zone/);
  });
});
