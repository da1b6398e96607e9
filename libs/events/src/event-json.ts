/** A stored event as it leaves: the JSON text that PostgreSQL made of it once, and what its entity tag needs. */
export interface StoredEvent {
  id: number;
  version: string;
  json: string;
}

const time = (column: string): string => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/**
 * SQL over the columns of `system_events` that yields the event as compact JSON text. Every answer comes from this one
 * projection, so that POST, PUT and GET agree byte for byte; it lists what may leave, and `version` may not.
 */
export const EVENT_JSON = [
  `'{"id":' || id`,
  `',"event_type":' || to_json(event_type)`,
  `',"severity":' || to_json(severity)`,
  `',"message":' || to_json(message)`,
  `',"details":' || coalesce(details::text, 'null')`,
  `',"source":' || coalesce(to_json(source)::text, 'null')`,
  `',"timestamp":"' || ${time('"timestamp"')}`,
  `'","created_at":"' || ${time('created_at')}`,
  `'","updated_at":"' || ${time('updated_at')}`,
  `'"}'`,
].join(' || ');

/** The strong entity tag of an event: `"<id>-<version>"`. */
export function etagOf({ id, version }: Pick<StoredEvent, 'id' | 'version'>): string {
  return `"${id}-${version}"`;
}
