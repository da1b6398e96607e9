import { invalid } from '@app/platform';
import { MAX_TURN_WAIT_MS, MAX_WAITING_SCANS } from './event-quotas';

// What the OpenAPI document says of the counts beside the controller's own words.

const TURNS = ` Such reads take half of the connections to the database at most, and equal ones that wait are read once; ${MAX_WAITING_SCANS} others wait, for ${MAX_TURN_WAIT_MS / 1000} s, and are refused with 503 then.`;

export const TIMESERIES =
  'Without `since`, the 24 hours before `until`; without `until`, up to now. Every bucket is there, 0 included. Filters by time and severity alone, ungrouped or grouped by severity, are answered from counts that are kept; others read all events that they find.' +
  TURNS;
export const FACETS =
  'Filters by type, severity and source alone are answered from counts that are kept; others read all events that they find.' +
  TURNS;

export const TIMESERIES_EXAMPLES = {
  ungrouped: {
    summary: 'Two hours by the hour',
    value: {
      bucket: '1h',
      since: '2026-01-31T09:00:00.000Z',
      until: '2026-01-31T11:00:00.000Z',
      series: [
        {
          key: null,
          points: [
            ['2026-01-31T09:00:00Z', 12],
            ['2026-01-31T10:00:00Z', 0],
          ],
          total: 12,
        },
      ],
    },
  },
  grouped: {
    summary: 'A day in Berlin on which clocks change, by source',
    value: {
      bucket: '1d',
      since: '2026-03-28T23:00:00.000Z',
      until: '2026-03-29T22:00:00.000Z',
      series: [
        { key: 'api', points: [['2026-03-28T23:00:00Z', 17]], total: 17 },
        { key: null, points: [['2026-03-28T23:00:00Z', 3]], total: 3 },
      ],
    },
  },
};
export const FACETS_EXAMPLE = {
  total: 142,
  severity: [
    { value: 'info', count: 120 },
    { value: 'error', count: 22 },
  ],
  event_type: [
    { value: 'health_check', count: 89 },
    { value: 'deployment', count: 53 },
  ],
  source: [
    { value: 'api', count: 130 },
    { value: null, count: 12 },
  ],
};

// As the service throws them.
export const UNKNOWN_ZONE = invalid([
  { detail: 'tz must be the name of a time zone, such as Europe/Berlin or UTC', parameter: 'tz' },
]);
export const WRONG_TOP = invalid([{ detail: 'top must be an integer from 1 to 100', parameter: 'top' }]);
