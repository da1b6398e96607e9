import { Injectable, type PipeTransform } from '@nestjs/common';
import { AppError, invalid } from '@app/platform';

/** The id in a path: decimal digits, else 422; one past 2^53 can belong to no event, so 404. */
@Injectable()
export class EventIdPipe implements PipeTransform<string, number> {
  transform(text: string): number {
    if (!/^\d+$/.test(text)) throw invalid([{ detail: 'id must be an integer in decimal digits', parameter: 'id' }]);
    const id = Number(text);
    if (!Number.isSafeInteger(id)) throw new AppError('not_found', `Event ${text.slice(0, 20)} not found`);
    return id;
  }
}
