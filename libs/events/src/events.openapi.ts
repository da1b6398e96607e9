import { AppError, invalid } from '@app/platform';

// What the OpenAPI document says of the events API beside the controller's own words: headers, examples, errors.

export const ETAG = {
  ETag: {
    description: 'The version of the event, for If-Match and If-None-Match.',
    schema: { type: 'string', example: '"42-1"' },
  },
};
export const LOCATION = {
  Location: { description: 'Where the event is.', schema: { type: 'string', example: '/api/events/42' } },
};
export const LINK = {
  Link: {
    description: 'The next page, when there is one (RFC 8288).',
    schema: {
      type: 'string',
      example:
        '</api/events?limit=100&cursor=WyItdGltZXN0YW1wIiwiVjBfdUdncTZEWnBDIiwxNzY5ODUxODAwMDAwLDQyXQ>; rel="next"',
    },
  },
};

export const TOTAL_COUNT = {
  'X-Total-Count': {
    description: 'How many events the filters find, with `count`.',
    schema: { type: 'integer', minimum: 0, example: 142 },
  },
};
export const REPLAYED = {
  'Idempotent-Replayed': {
    description: '`true` when this is the answer to an earlier request with the same Idempotency-Key.',
    schema: { type: 'string', enum: ['true'] },
  },
};
export const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  required: false,
  description:
    'A text of your own for this request, 1 to 255 printable ASCII characters, such as a UUID. Sent again within 24 hours with the same body and query it gives the first answer again and stores nothing; with another body or query it is a 422.',
  schema: { type: 'string', minLength: 1, maxLength: 255, examples: ['8e03978e-40d5-43dd-bc93-6894a57f9324'] },
};

export const ID = {
  name: 'id',
  description: 'The id that the service gave the event.',
  schema: { type: 'integer', format: 'int64', minimum: 1, example: 42 },
};
export const IF_MATCH = {
  name: 'If-Match',
  required: false,
  description: 'Only when the event still has this entity tag.',
  schema: { type: 'string', examples: ['"42-1"'] },
};
export const IF_NONE_MATCH = {
  name: 'If-None-Match',
  required: false,
  description: 'Only when the event no longer has this entity tag.',
  schema: { type: 'string', examples: ['"42-1"'] },
};

export const NEW_EVENTS = {
  short: {
    summary: 'What has to be there',
    value: { event_type: 'deployment', severity: 'info', message: 'api 1.4.2 is live' },
  },
  full: {
    summary: 'Everything, with the time at which it happened',
    value: {
      event_type: 'deployment',
      severity: 'info',
      message: 'api 1.4.2 is live',
      details: { version: '1.4.2', commit: '9fceb02', duration_ms: 4210 },
      source: 'api',
      timestamp: '2026-01-31T10:30:00+01:00',
    },
  },
};
export const CHANGE =
  'What is absent stays as it is; `null` clears `details` and `source`. Changes of one event wait for each other; 503 where another session locks it for longer than a second, or 1000 changes wait.';
export const CHANGES = {
  change: {
    summary: 'Change two fields, leave the others',
    value: { severity: 'warning', message: 'api 1.4.2 is live, with two slow pods' },
  },
  clear: { summary: 'Clear what may be null', value: { details: null, source: null } },
};

// As the service throws them.
export const NOT_FOUND = new AppError('not_found', 'Event 42 not found');
export const CHANGED_MEANWHILE = new AppError('precondition_failed', 'Event 42 was changed meanwhile; read it again.');
export const WRONG_SEVERITY = invalid([
  { detail: 'severity must be one of info, warning, error, critical', pointer: '#/severity' },
]);
export const WRONG_PARAMETER = invalid([{ detail: 'limit must be an integer from 1 to 1000', parameter: 'limit' }]);
export const WRONG_ID = invalid([{ detail: 'id must be an integer in decimal digits', parameter: 'id' }]);
export const UNKNOWN_PARAMETER = invalid([{ detail: 'verbose is not known here', parameter: 'verbose' }]);
export const WRONG_PATH = new AppError('malformed', 'The request cannot be read.');
export const UPDATE_PROBLEMS = [
  'malformed',
  NOT_FOUND,
  CHANGED_MEANWHILE,
  'payload_too_large',
  'unsupported_media_type',
  WRONG_SEVERITY,
  'unavailable',
] as const;
