/** `date-time` of RFC 3339, section 5.6. A leap second is not taken: neither JavaScript nor PostgreSQL can keep it. */
const DATE_TIME =
  /^(\d{4})-(\d{2})-(\d{2})[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/;

const DAY_MS = 24 * 60 * 60 * 1000;

/** The moment that an RFC 3339 text names, to the millisecond (finer digits are dropped); `undefined` if it names none. */
export function parseTimestamp(text: string): Date | undefined {
  const match = DATE_TIME.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const milliseconds = Number((match[7] ?? '').slice(0, 3).padEnd(3, '0'));
  const offsetMinutes = Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0);
  // Not all at once: Date.UTC takes the year 99 for 1999.
  const local = new Date(Date.UTC(2000, 0, 1, hour, minute, second, milliseconds));
  local.setUTCFullYear(year, month - 1, day);
  // 30 February is carried over into March, and there is no year 0.
  if (year === 0 || local.getUTCFullYear() !== year || local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day)
    return undefined;
  return new Date(local.getTime() - (match[8] === '-' ? -1 : 1) * offsetMinutes * 60_000);
}

/** What is wrong with the time of an event, or `undefined`. */
export function checkTimestamp(value: unknown): string | undefined {
  const moment = typeof value === 'string' ? parseTimestamp(value) : undefined;
  if (!moment) return 'must be a time with a zone as in RFC 3339, such as 2026-01-31T09:30:00Z';
  const allowed = moment.getTime() >= 0 && moment.getTime() <= Date.now() + DAY_MS;
  return allowed ? undefined : 'must lie between 1970 and one day ahead';
}

const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: DAY_MS, w: 7 * DAY_MS };

/**
 * A time in a query: RFC 3339, to the millisecond at or after it, or how long before `now`, as `15m`, `24h` or `7d` (up
 * to six digits); `undefined` if it is neither, or not from the years 1 to 9999.
 */
export function parseMoment(text: string, now: Date): Date | undefined {
  const relative = /^(\d{1,6})([smhdw])$/.exec(text);
  const moment = relative
    ? new Date(now.getTime() - Number(relative[1]) * UNITS_MS[relative[2] as keyof typeof UNITS_MS])
    : // A plus sign that was not percent-encoded arrives as a space.
      parseTimestampUp(text.replace(/ (?=\d{2}:\d{2}$)/, '+'));
  return moment && isWritable(moment.getTime()) ? moment : undefined;
}

// Times of events are whole milliseconds: those before a finer time are those before the next whole one.
function parseTimestampUp(text: string): Date | undefined {
  const moment = parseTimestamp(text);
  return moment && /\.\d{3}\d*[1-9]/.test(text) ? new Date(moment.getTime() + 1) : moment;
}

/** Whether PostgreSQL and RFC 3339 can both write a time, given in milliseconds since 1970. */
export function isWritable(time: number): boolean {
  return time >= YEAR_1 && time < YEAR_10000;
}

const YEAR_1 = Date.parse('0001-01-01T00:00:00Z');
const YEAR_10000 = Date.parse('9999-12-31T23:59:59.999Z') + 1;

/** What is wrong with a time in a query, or `undefined`. */
export function checkMoment(value: string): string | undefined {
  return parseMoment(value, new Date()) ? undefined : 'must be a time as in RFC 3339, or an age such as 15m, 24h or 7d';
}
