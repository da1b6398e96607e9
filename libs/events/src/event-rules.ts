import { ValidateIf } from 'class-validator';
import { invalid, rule } from '@app/platform';
import { checkDetails } from './details';
import { SEVERITIES, type Severity } from './event.entity';
import { checkTimestamp } from './timestamp';

/** Unicode code points of the texts of an event at most. */
export const LIMITS = { eventType: 100, message: 65_536, source: 200 };

/** Control characters (Unicode's Cc) but tabs and line breaks, which clients read from files and command lines. */
const CONTROL = /(?![\t\n\r])\p{Cc}/u;

/** What leaves a mark: neither white space nor what renders as nothing. */
const VISIBLE = /[^\s\p{Cc}\p{Default_Ignorable_Code_Point}]/u;

/**
 * What is wrong with a source that is text, or `undefined`. An escape sequence in it would act on the terminal of whoever
 * lists events. A message may have some: it may be the output of a program, and whoever shows it escapes them.
 */
export const checkSource = (text: string): string | undefined =>
  CONTROL.test(text) ? 'must not contain control characters, but for tabs and line breaks' : undefined;

/** The same of an event type, which lists and counts also have to show. */
export const checkEventType = (text: string): string | undefined =>
  checkSource(text) ?? (VISIBLE.test(text) ? undefined : 'must have a character that can be seen');

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
