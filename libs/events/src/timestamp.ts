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
