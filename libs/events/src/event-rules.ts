import { ValidateIf } from 'class-validator';
import { invalid, rule } from '@app/platform';
import { checkDetails } from './details';
import { SEVERITIES, type Severity } from './event.entity';
import { checkTimestamp } from './timestamp';

/** Unicode code points of the texts of an event at most. */
export const LIMITS = { eventType: 100, message: 65_536, source: 200 };

/** What is wrong with a severity, or `undefined`. */
export const checkSeverity = (value: unknown): string | undefined =>
  SEVERITIES.includes(value as Severity) ? undefined : `must be one of ${SEVERITIES.join(', ')}`;

/** The JSON object that an event has to be, its fields not yet judged. @throws AppError `invalid` */
export function requireObject(value: unknown): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw invalid([{ detail: 'an event must be a JSON object', pointer: '#' }]);
}

/** A property that may be left out but, unlike with `IsOptional`, not be null. */
export const MayBeAbsent = (): PropertyDecorator => ValidateIf((_object, value) => value !== undefined);
export const IsSeverity = (): PropertyDecorator => rule('severity', checkSeverity);
export const IsDetails = (): PropertyDecorator => rule('details', checkDetails);
export const IsTimestamp = (): PropertyDecorator => rule('timestamp', checkTimestamp);
