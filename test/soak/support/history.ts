import { query } from '../../support/databases';

const EVENTS = 200_000;

/** Seconds between two of them: half a year altogether. */
const EVERY_S = 80;

/** Milliseconds by which the newest is older than the soak, so that nobody counts it among what happens now. */
const AGE_MS = 3_600_000;

const INSERT = `INSERT INTO system_events (event_type, severity, message, details, source, "timestamp")
  SELECT 'history-' || n % 5, (ARRAY['info', 'warning', 'error', 'critical'])[1 + n % 4], 'history number ' || n,
    jsonb_build_object('number', n % 100), 'history', $1::timestamptz - n * $2 * interval '1 s'
  FROM generate_series(0, $3::int - 1) AS n`;

/** Events of the past, which nobody changes: enough for a read of all of them to take its time. */
export class History {
  readonly events = EVENTS;

  private constructor(private readonly newestMs: number) {}

  static async store(databaseUrl: string): Promise<History> {
    const newestMs = Math.floor(Date.now() / 1000) * 1000 - AGE_MS;
    await query(databaseUrl, INSERT, [new Date(newestMs).toISOString(), EVERY_S, EVENTS]);
    await query(databaseUrl, 'ANALYZE system_events');
    return new History(newestMs);
  }

  /** The value of `since` that finds so many of them. */
  sinceOf(events: number): string {
    return new Date(this.newestMs - (events - 1) * EVERY_S * 1000).toISOString();
  }
}
