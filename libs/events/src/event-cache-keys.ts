/** Under these keys answers are cached; what changes an event must make its keys invalid. */
export const STATS_KEY = 'events:stats';
export const eventKey = (id: number): string => `events:id:${id}`;
export const typeKey = (eventType: string): string => `events:type:${eventType}`;
