import { query } from '../../support/databases';
import { send, type Answer } from '../../support/http';
import { until } from '../../support/services';

/** What became of a load, held against what is stored. */
export interface Outcome {
  acknowledged: number;
  /** Acknowledged events that are not stored as they were sent. */
  lost: number[];
  /** Messages with a key that are stored more than once. */
  duplicates: string[];
}

/** Requests at once, and at most in all: a fault that never ends must not flood the machine. */
const WIDTH = 16;
const MAX_REQUESTS = 100_000;

/** Milliseconds before a client gives a request up. */
const PATIENCE_MS = 20_000;

/** Source of the events of a load. */
const SOURCE = 'load';

/**
 * Clients that post single events to one process after the other and remember each acknowledgement. Every second event
 * has an `Idempotency-Key` and is sent again, elsewhere, until it is acknowledged, as a service that retries does.
 */
export class Load {
  /** The message of each acknowledged event, by its id. */
  readonly acknowledged = new Map<number, string>();
  /** How often each status was answered; 0 is a connection that broke. */
  readonly statuses = new Map<number, number>();
  /** Answers that are no acknowledgement and not as documented. */
  readonly wrong: string[] = [];
  private sent = 0;
  private stopped = false;
  private abandoned = false;
  private readonly clients: Promise<void>[];

  /** @param urls read at each request: processes come and go */
  constructor(private readonly urls: () => string[]) {
    this.clients = Array.from({ length: WIDTH }, () => this.post());
  }

  /** Resolves once `count` more events are acknowledged. */
  async more(count: number): Promise<void> {
    const enough = this.acknowledged.size + count;
    await until(() => this.acknowledged.size >= enough, `${count} more events are acknowledged`, 60_000);
  }

  /** Ends when every event under way has its answer, and every key its acknowledgement. */
  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.clients);
  }

  /** Ends without caring for what is under way: after a test that failed. */
  async abandon(): Promise<void> {
    this.abandoned = true;
    await this.stop();
  }

  /** Holds what was acknowledged against the rows of a database. */
  async compare(databaseUrl: string): Promise<Outcome> {
    const rows = await query<{ id: string; message: string }>(
      databaseUrl,
      'SELECT id, message FROM system_events WHERE source = $1',
      [SOURCE],
    );
    const stored = new Map(rows.map(({ id, message }) => [Number(id), message]));
    const lost = [...this.acknowledged].filter(([id, message]) => stored.get(id) !== message).map(([id]) => id);
    const keyed = rows.map(({ message }) => message).filter((message) => message.startsWith('keyed '));
    const duplicates = keyed.filter((message, index) => keyed.indexOf(message) !== index);
    return { acknowledged: this.acknowledged.size, lost, duplicates };
  }

  private async post(): Promise<void> {
    while (!this.stopped && this.sent < MAX_REQUESTS) {
      const number = this.sent++;
      if (number % 2 === 0) await this.attempt(number, `plain ${number}`);
      else await this.insist(number, `keyed ${number}`);
    }
  }

  private async insist(number: number, message: string): Promise<void> {
    for (let tries = 0; !(await this.attempt(number + tries, message, message)); tries++) {
      if (this.abandoned || this.sent++ > MAX_REQUESTS) return;
    }
  }

  private async attempt(number: number, message: string, key?: string): Promise<boolean> {
    const urls = this.urls();
    const answer = await this.send(`${urls[number % urls.length]}/api/events`, message, key);
    this.count(answer?.status ?? 0);
    if (answer?.status === 201) this.acknowledged.set(answer.body.id, message);
    else if (answer && !isDocumented(answer)) this.wrong.push(`${answer.status} ${answer.text}`);
    // A moment for whoever is away to come back; not a matter of time for what is asserted.
    if (answer?.status !== 201) await new Promise((resolve) => setTimeout(resolve, 20));
    return answer?.status === 201;
  }

  private async send(url: string, message: string, key?: string): Promise<Answer<{ id: number }> | undefined> {
    try {
      return await send('POST', url, {
        json: { event_type: 'load', severity: 'info', message, source: SOURCE },
        ...(key !== undefined && { headers: { 'idempotency-key': key } }),
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch {
      return undefined;
    }
  }

  private count(status: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
  }
}

// The same key may still be under way where the connection broke.
function isDocumented({ status, headers }: Answer): boolean {
  if (headers.get('content-type')?.startsWith('application/problem+json') !== true) return false;
  return status === 409 || (status === 503 && /^[1-9]\d*$/.test(headers.get('retry-after') ?? ''));
}
