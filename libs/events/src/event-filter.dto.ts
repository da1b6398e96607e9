import { checkText, QueryEnum, QueryGroup, QueryList, QueryText } from '@app/platform';
import { readPair, readPath } from './details-path';
import { SEVERITIES, type Severity } from './event.entity';
import { checkSeverity, LIMITS } from './event-rules';
import { checkSearch } from './event-search';
import { checkMoment } from './timestamp';

const MAX_SEARCH_LENGTH = 1000;
const MAX_DETAILS_VALUE_LENGTH = 1000;

// Examples of parameters that may be left out are a list: Swagger UI sends an `example` as if the reader had chosen it.

/** A text of at most `max` characters that may repeat; the example is one of them. */
function QueryTexts(
  max: number,
  { description, example }: Record<'description' | 'example', string>,
): PropertyDecorator {
  return QueryList((value) => checkText(value, 1, max), {
    type: 'array',
    items: { type: 'string', minLength: 1, maxLength: max, examples: [example] },
    description,
  });
}

/** Which events: every condition that is given holds. */
export class EventFilterDto {
  @QueryText(checkMoment, {
    type: 'string',
    description:
      'Only events from this time on: RFC 3339 from the years 1 to 9999, or an age of up to six digits such as `15m`, `24h` or `7d` (s, m, h, d, w).',
    examples: ['24h', '2026-01-31T00:00:00Z'],
  })
  since?: string;

  @QueryText(checkMoment, {
    type: 'string',
    description: 'Only events before this time, written like `since` and not earlier than it.',
    examples: ['90d', '2026-02-01T00:00:00Z'],
  })
  until?: string;

  @QueryTexts(LIMITS.eventType, {
    description: 'Only events of this type; may repeat, up to 100 times (any of them).',
    example: 'deployment',
  })
  event_type?: string[];

  @QueryList(checkSeverity, {
    type: 'array',
    items: { $ref: '#/components/schemas/Severity' },
    description: 'Only events of this severity; may repeat, up to 100 times (any of them).',
  })
  severity?: Severity[];

  @QueryEnum(SEVERITIES, {
    enumName: 'Severity',
    description: 'Only events at least this bad: info, warning, error, critical.',
  })
  min_severity?: Severity;

  @QueryTexts(LIMITS.source, {
    description: 'Only events of this source; may repeat, up to 100 times (any of them).',
    example: 'api',
  })
  source?: string[];

  @QueryText((value) => checkText(value, 1, MAX_SEARCH_LENGTH) ?? checkSearch(value), {
    type: 'string',
    minLength: 1,
    maxLength: MAX_SEARCH_LENGTH,
    description:
      'Only events whose message holds these words, in any case; names such as `pg-node_7` are found whole and by their parts. `"…"` is a phrase, `-` in front excludes, `or` is either. At least one letter or digit. Names and phrases are found among the first 16,383 words of a message, and where none of their words occurs more than 256 times.',
    examples: ['timeout -staging'],
  })
  q?: string;

  @QueryGroup(
    { path: readPath, pair: readPair, value: (value) => checkText(value, 1, MAX_DETAILS_VALUE_LENGTH) },
    {
      description:
        'Only events whose `details` hold a value: `details[http.status]=504`, or `details.http.status=504`, finds the number 504 and the text "504" there, by itself or as one of a list. A key that has a dot in it (or begins with a quote, or is empty) stands in quotes, a quote inside it doubled: `details["service.name"]=api`. A path has up to 32 steps, a value up to 1000 characters; up to 20 paths (all of them), each up to 100 times (any of its values).',
      example: { 'http.status': '504' },
      text: {
        name: 'detail',
        description:
          'The same condition as a text, for clients that cannot send `details`: `detail=http.status=504`, a path, `=` and the value. May repeat, up to 100 times: all of the paths, any of the values of one path. A key with `=` in it stands in quotes too.',
        example: 'http.status=504',
      },
    },
  )
  details?: [path: string[], values: string[]][];
}
