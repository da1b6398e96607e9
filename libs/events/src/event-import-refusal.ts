import { AppError, databaseFault, MAX_ERRORS, type FieldError, type StreamedContent } from '@app/platform';
import type { ImportResultDto, RejectedImportDto } from './event-import.dto';

/** Events at the head of a file after which, when all of them are refused, nothing more of it is read. */
export const HOPELESS_EVENTS = 10_000;

/** Whether so many events from the head of a file are refused that it is another file than was meant. */
export function isHopeless({ rejected }: ImportResultDto, read: number): boolean {
  return read === HOPELESS_EVENTS && rejected === read;
}

/** The error for a hopeless file: what to look at, and its first wrong events, each with its line and its place. */
export function hopelessFile({ errors }: ImportResultDto, type: StreamedContent['type']): AppError {
  const rules = errors.slice(0, MAX_ERRORS).map(toRule);
  const message =
    `None of the first ${HOPELESS_EVENTS} events can be stored, so the rest of the file was not read. ` +
    `Check that it holds events, and that its Content-Type (${type}) is right. The first one: ${rules[0]?.detail}.`;
  return new AppError('invalid', message, { errors: rules });
}

function toRule({ index, line, detail, pointer = '#' }: RejectedImportDto): FieldError {
  return { detail: `line ${line}: ${detail.replace(/\.$/, '')}`, pointer: `#/${index}${pointer.slice(1)}` };
}

/** The error that ends an import, with what was imported before it where that may be anything. */
export function interrupted(error: unknown, { imported, rejected }: ImportResultDto): unknown {
  const fault = databaseFault(error) ?? error;
  // No event was stored before a header of CSV that is refused, and none of a hopeless file.
  if (!(fault instanceof AppError) || fault.kind === 'invalid' || fault.kind === 'payload_too_large') return fault;
  const message = `${fault.message} ${imported} events were imported and ${rejected} rejected before.`;
  return new AppError(fault.kind, message, { headers: fault.headers, cause: fault });
}
