export type Severity = 'info' | 'warning' | 'error' | 'critical';

/** An event to store, as a client's own code would write it. */
export interface NewEvent {
  event_type: string;
  severity: Severity;
  message: string;
  details?: Record<string, unknown>;
  source?: string;
}

/** A stored event. */
export interface StoredEvent {
  id: number;
  event_type: string;
  severity: Severity;
  message: string;
  details: Record<string, unknown> | null;
  source: string | null;
  timestamp: string;
  created_at: string;
  updated_at: string;
}

/** What every generated client is asked to do. */
export interface Operations {
  create(event: NewEvent): Promise<StoredEvent>;
  get(id: number): Promise<StoredEvent>;
  list(filter: { event_type: string[]; severity: Severity[]; source: string[] }): Promise<StoredEvent[]>;
  details(filter: { details: Record<string, string>; source: string[] }): Promise<StoredEvent[]>;
  batch(events: NewEvent[]): Promise<{ accepted: number }>;
  /** All events of a source, as a list. */
  exportJson(source: string[]): Promise<StoredEvent[]>;
  /** The same as newline-delimited JSON. */
  exportNdjson(source: string[]): Promise<string>;
  /** Events as an export gave them. */
  importJson(events: StoredEvent[]): Promise<{ imported: number }>;
}

/** What a client does, as it was generated, and how its own faults are got round. */
export interface Client {
  generated(url: string): Operations;
  around(url: string): Partial<Operations>;
}

/** The same conditions on details as texts: `detail=http.status=504`. */
export function asTexts(details: Record<string, string>): string[] {
  return Object.entries(details).map(([path, value]) => `${path}=${value}`);
}

/** The data of a successful response. */
export function dataOf<Data>(status: number | undefined, data: Data | undefined, error?: unknown): Data {
  if (status === undefined || status >= 300 || data === undefined) {
    throw new Error(`${status ?? 'no response'}: ${JSON.stringify(error ?? data)}`);
  }
  return data;
}
