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
  const local = new Date(Date.UTC(year, month - 1, day, hour, minute, second, milliseconds));
  // Date.UTC carries 30 February over into March, and takes the year 99 for 1999.
  if (local.getUTCFullYear() !== year || local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day)
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

/** A time in a query: RFC 3339, or how long before `now`, as `15m`, `24h` or `7d`; `undefined` if it is neither. */
export function parseMoment(text: string, now: Date): Date | undefined {
  const relative = /^(\d{1,6})([smhdw])$/.exec(text);
  const moment = relative
    ? new Date(now.getTime() - Number(relative[1]) * UNITS_MS[relative[2] as keyof typeof UNITS_MS])
    : // A plus sign that was not percent-encoded arrives as a space.
      parseTimestamp(text.replace(/ (?=\d{2}:\d{2}$)/, '+'));
  return moment && isWritable(moment.getTime()) ? moment : undefined;
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
