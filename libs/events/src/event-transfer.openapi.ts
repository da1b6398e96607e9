import { AppError, invalid } from '@app/platform';

// What the OpenAPI document says of export and import beside the controller's own words: bodies, headers, errors.

const EVENT = {
  event_type: 'deployment',
  severity: 'info',
  message: 'api 1.4.2 is live',
  details: { version: '1.4.2' },
  source: 'api',
  timestamp: '2026-01-31T09:30:00.000Z',
};
const STORED = { ...EVENT, created_at: '2026-01-31T09:30:00.123Z', updated_at: '2026-01-31T09:30:00.123Z' };
const EXPORTED = { id: 42, ...STORED };

const CSV = [
  'id,event_type,severity,message,details,source,timestamp,created_at,updated_at',
  `42,deployment,info,api 1.4.2 is live,"{""version"": ""1.4.2""}",api,${STORED.timestamp},${STORED.created_at},${STORED.updated_at}`,
  '',
].join('\r\n');

// JSON first: many generators know the first type of a body only.
const TEXT = { type: 'string' } as const;

export const EXPORT_DESCRIPTION =
  'All that the filters find of what is stored when it begins, however much it is; sent as it is read. A fault in the middle breaks the connection, so that a file that is not whole never looks whole. In CSV, a text that a spreadsheet would take for a formula (it starts with `=`, `+`, `-`, `@`, a tab or a carriage return), or that starts with an apostrophe, has one apostrophe more in front; no value is an empty cell, an empty text is `""`.';
export const EXPORT_HEADERS = {
  'Content-Disposition': {
    description: 'A name for the file.',
    schema: { type: 'string', example: 'attachment; filename="events-20260131T093000Z.ndjson"' },
  },
} as const;
export const EXPORT_CONTENT = {
  'application/json': {
    schema: { type: 'array', items: { $ref: '#/components/schemas/Event' } },
    example: [EXPORTED],
  },
  'application/x-ndjson': { schema: TEXT, example: `${JSON.stringify(EXPORTED)}\n` },
  'text/csv': { schema: TEXT, example: CSV },
} as const;

export const IMPORT_DESCRIPTION =
  'Reads what an export writes, and files that are made by hand: `id`, `created_at` and `updated_at` are ignored, every other field is as for storing one event. The file may be of any size, one event in it up to 1 MiB, and may come slowly: at 1 KiB a second at least, averaged over a minute (what the service itself takes is not counted), and never nothing for 30 seconds, else 408. It is stored as it arrives, up to 500 events at a time: what is wrong with one event rejects that one only, and where the file itself is broken what stood before stays imported, and the error says how much that was. When the first 10,000 events are all refused, nothing more is read: a 422 lists the first of them, each with its line in `detail` and its place among the events in `pointer`. CSV has a header with the columns in any order, at least `event_type`, `severity` and `message`; one apostrophe in front of a text is taken away. Sending the same file twice stores its events twice, so an `Idempotency-Key` is refused.';
export const IMPORT_CONTENT = {
  'application/json': {
    schema: { type: 'array', items: { $ref: '#/components/schemas/ImportEvent' } },
    example: [EVENT],
  },
  'application/x-ndjson': { schema: TEXT, example: `${JSON.stringify(EVENT)}\n` },
  'text/csv': {
    schema: TEXT,
    example: 'event_type,severity,message,source\r\ndeployment,info,api 1.4.2 is live,api\r\n',
  },
} as const;
export const IMPORTED = {
  imported: 1284,
  rejected: 1,
  errors: [
    {
      index: 1,
      status: 422,
      detail: 'severity must be one of info, warning, error, critical',
      pointer: '#/severity',
      line: 2,
    },
  ],
};

// As the service throws them.
export const WRONG_FORMAT = invalid([{ detail: 'format must be one of ndjson, json, csv', parameter: 'format' }]);
export const BROKEN_FILE = new AppError(
  'malformed',
  'The file is broken: the array has no end in line 512. 510 events were imported and 0 rejected before.',
);
export const SLOW_FILE = new AppError(
  'timeout',
  'The request body did not arrive in time: less than 1 KiB a second came, on the average of a minute. 500 events were imported and 0 rejected before.',
);
export const LONG_HEADER = new AppError('payload_too_large', 'The header is larger than 1 MiB.');
export const WRONG_TYPE = new AppError(
  'unsupported_media_type',
  'Send the request body with Content-Type: application/x-ndjson, application/json or text/csv.',
);
export const WRONG_HEADER = invalid([{ detail: 'the column "colour" is no column of events', pointer: '#/colour' }]);
export const INTERRUPTED = new AppError(
  'unavailable',
  'The database is not available at the moment; try again. 500 events were imported and 0 rejected before.',
);
