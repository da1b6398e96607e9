import { AppError, invalid } from '@app/platform';
import { MAX_BATCH_EVENTS } from './event-batch.dto';

// What the OpenAPI document says of the batch beside the controller's own words.

export const DESCRIPTION = `Up to 10,000 events or 16 MiB, as a JSON array or as newline-delimited JSON (\`application/x-ndjson\`). Each event,
of 1 MiB at most, is judged by itself: \`errors\` says which were rejected and why, the others are stored, all in one transaction. With
\`atomic=true\` one rejected event rejects all (422). Half of the database's connections are for batches, 32 more batches wait
for 5 seconds at most; beyond that the answer is 503 with \`Retry-After\`.`;

const EVENTS = [
  { event_type: 'deployment', severity: 'info', message: 'api 1.4.2 is live', source: 'api' },
  { event_type: 'health_check', severity: 'warning', message: 'web answers slowly', details: { ms: 2150 } },
];

export const CONTENT = {
  'application/json': {
    schema: { type: 'array', maxItems: MAX_BATCH_EVENTS, items: { $ref: '#/components/schemas/CreateEvent' } },
    example: EVENTS,
  },
  'application/x-ndjson': {
    schema: { type: 'string' },
    example: `${EVENTS.map((event) => JSON.stringify(event)).join('\n')}\n`,
  },
} as const;

// As the reader and the service throw them.
export const TOO_MANY = new AppError('payload_too_large', `A batch may have at most ${MAX_BATCH_EVENTS} events.`);
export const REFUSED_ATOMIC = invalid([
  { detail: 'severity must be one of info, warning, error, critical', pointer: '#/1/severity' },
]);
