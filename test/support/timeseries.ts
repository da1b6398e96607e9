import { send, type Answer } from './http';
import type { TestApp } from './test-app';

/** Events of one value over time. */
export interface Series {
  key: string | null;
  points: [string, number][];
  total: number;
}

/** Events over time, as the API answers them. */
export interface Timeseries {
  bucket: string;
  since: string;
  until: string;
  series: Series[];
}

/** An event for `storeEvents`; without a source it has none. */
export interface TimedEvent {
  type?: string;
  severity?: string;
  source?: string | null;
  at: string;
  times?: number;
}

/** GET /api/events/timeseries with a query. */
export function askTimeseries(api: TestApp, query: string): Promise<Answer<Timeseries>> {
  return send('GET', `${api.url}/api/events/timeseries${query === '' ? '' : `?${query}`}`);
}

/** The same, and expects that it succeeds. */
export async function readTimeseries(api: TestApp, query: string): Promise<Timeseries> {
  const answer = await askTimeseries(api, query);
  expect([query, answer.status, answer.text]).toEqual([query, 200, expect.any(String)]);
  return answer.body;
}

/** Stores events past the application. */
export async function storeEvents(api: TestApp, events: TimedEvent[]): Promise<void> {
  await api.sql(
    `INSERT INTO system_events (event_type, severity, message, source, "timestamp")
     SELECT coalesce(type, 'deployment'), coalesce(severity, 'info'), 'x', source, at
     FROM json_to_recordset($1) AS new (type text, severity text, source text, at timestamptz, times int),
       generate_series(1, coalesce(times, 1))`,
    [JSON.stringify(events)],
  );
}
