import { statusOf, type AppError } from '@app/platform';
import type { RejectedEventDto } from './event-batch.dto';

/** How an event that was refused stands in the answer to many. */
export function toRejected(index: number, { kind, message, errors = [] }: AppError): RejectedEventDto {
  const [first] = errors;
  const rest = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return {
    index,
    status: statusOf(kind),
    detail: first ? first.detail + rest : message,
    ...(first && 'pointer' in first && { pointer: first.pointer }),
  };
}
