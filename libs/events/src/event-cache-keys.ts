/** Under these keys answers are cached; what changes an event must make its keys invalid. */
export const STATS_KEY = 'events:stats';
export const eventKey = (id: number): string => `events:id:${id}`;
export const typeKey = (eventType: string): string => `events:type:${eventType}`;

/** The keys that new events of these types make invalid. */
export function newEventKeys(eventTypes: Iterable<string>): string[] {
  return [STATS_KEY, ...Array.from(new Set(eventTypes), typeKey)];
}
