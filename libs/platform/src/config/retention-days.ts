import { makeValidator } from 'envalid';

/** Those of events, which this ground floor knows nothing else of. */
const SEVERITIES = ['info', 'warning', 'error', 'critical'] as const;
const MAX_DAYS = 36_500;

/** How many days, 1 to 36,500, an event of a severity is kept; of one that is not named, for ever. */
export type RetentionDays = Partial<Record<(typeof SEVERITIES)[number], number>>;

/** A variable that is a number of days for all severities, or days by severity such as `info=30,error=365`. */
export const retentionDays = makeValidator<RetentionDays>((input) => {
  const all = toDays(input.trim());
  if (all !== undefined) return Object.fromEntries(SEVERITIES.map((severity) => [severity, all]));
  const result: RetentionDays = {};
  for (const item of input.split(',')) {
    const [name, number = '', ...rest] = item.trim().split('=');
    const severity = SEVERITIES.find((known) => known === name);
    const days = toDays(number);
    if (severity === undefined || days === undefined || rest.length > 0) {
      throw new TypeError(
        `must be days from 1 to ${MAX_DAYS}, or such days by severity (${SEVERITIES.join(', ')}), as in info=30,error=365`,
      );
    }
    if (severity in result) throw new TypeError('must name each severity only once');
    result[severity] = days;
  }
  return result;
});

function toDays(text: string): number | undefined {
  const days = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return days >= 1 && days <= MAX_DAYS ? days : undefined;
}
