import { checkTimeZone, dayStarts } from './timeseries-days';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const at = (text: string): number => Date.parse(text);
const starts = async (since: string, until: string, zone: string): Promise<string[]> =>
  (await dayStarts(at(since), at(until), zone)).map((start) => new Date(start).toISOString());

describe('dayStarts', () => {
  // Each of these had days that were odd in another way; the comment says which.
  it.each([
    ['UTC', '2026-02-26'],
    ['Europe/Berlin', '2026-03-27'], // 23 hours
    ['Europe/Berlin', '2026-10-23'], // 25 hours
    ['Asia/Kolkata', '2026-01-01'], // half an hour
    ['Asia/Kathmandu', '1985-12-30'], // from a half to three quarters of an hour
    ['Australia/Lord_Howe', '2026-04-03'], // clocks go back half an hour
    ['America/Havana', '2025-10-31'], // from 1 to 0 o'clock: midnight is there twice
    ['America/Havana', '2026-03-06'], // from 0 to 1 o'clock: midnight is missing
    ['Asia/Amman', '2021-10-29'], // from 1 to 0 o'clock, and the span begins on that day
    ['America/Sao_Paulo', '2018-02-16'], // from 0 to 23 o'clock of the day before
    ['America/Sao_Paulo', '2018-11-02'],
    ['Asia/Beirut', '2026-03-27'],
    ['Pacific/Apia', '2011-12-28'], // a day is missing
    ['America/Anchorage', '1867-10-16'], // a day is there twice
    ['Europe/Amsterdam', '1937-06-29'], // seconds, until then
    ['Africa/Monrovia', '1972-01-05'],
  ])('knows when the days of %s begin around %s', async (zone, date) => {
    const from = at(`${date}T00:00:00Z`);
    const until = from + 5 * DAY_MS;
    const format = new Intl.DateTimeFormat('en-CA', { timeZone: zone, dateStyle: 'short' });
    const expected: number[] = [];
    let newest = '';
    for (let time = from - 3 * DAY_MS; time < until; time += 1000) {
      // Clocks change at whole minutes, but where there were odd seconds in the offset before.
      if (time % MINUTE_MS !== 0 && !['Europe/Amsterdam', 'Africa/Monrovia', 'America/Anchorage'].includes(zone))
        continue;
      const day = format.format(time);
      if (day <= newest) continue;
      newest = day;
      expected.push(time);
    }
    const first = expected.findLastIndex((start) => start <= from);
    expect(await dayStarts(from, until, zone)).toEqual(expected.slice(first));
  });

  it('begins with the day that holds the start, and ends with the one before the end', async () => {
    expect(await starts('2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z', 'Europe/Berlin')).toEqual([
      '2026-03-28T23:00:00.000Z',
    ]);
    expect(await starts('2026-03-28T22:59:59.999Z', '2026-03-29T22:00:00.001Z', 'Europe/Berlin')).toEqual([
      '2026-03-27T23:00:00.000Z',
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z',
    ]);
  });

  it.each(['UTC', 'Asia/Tokyo', 'America/New_York'])('knows the ends of time in %s', async (zone) => {
    expect((await starts('0001-01-01T00:00:00Z', '0001-01-03T00:00:00Z', zone)).length).toBeGreaterThan(1);
    expect((await starts('9999-12-30T00:00:00Z', '9999-12-31T23:59:59.999Z', zone)).length).toBeGreaterThan(1);
  });
});

describe('the days of thirty years', () => {
  it('are found in many turns of the event loop: others wait for 10 ms of them at most', async () => {
    // Each look at the clock is a millisecond later.
    let now = performance.now();
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now++);
    let isDone = false;
    let turns = 0;
    const count = (): void => {
      turns++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    try {
      expect((await dayStarts(at('1996-01-01'), at('2026-01-01'), 'America/New_York')).length).toBe(10_959);
    } finally {
      isDone = true;
      clock.mockRestore();
    }
    expect(turns).toBeGreaterThan(900);
  });
});

describe('checkTimeZone', () => {
  it.each(['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5', 'asia/kolkata'])(
    'knows %s',
    (name) => {
      expect(checkTimeZone(name)).toBeUndefined();
    },
  );

  it.each(['', 'Nowhere/Atlantis', '+01:00', '01:00', 'UTC+1', 'Europe/Berlin ', '../etc/passwd', 'x'.repeat(10_000)])(
    'does not know “%s”',
    (name) => {
      expect(checkTimeZone(name)).toMatch(/time zone/);
    },
  );
});
