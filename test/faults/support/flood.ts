import { query } from '../../support/databases';
import { HttpClient, type ApiAnswer } from './http-client';

/** What a flood posts. */
export interface FloodBody {
  path: '/api/events' | '/api/events/batch';
  json: unknown;
  /** The `source` of its events, by which they are counted. */
  source: string;
  /** Whether each request has an `Idempotency-Key` of its own. */
  isKeyed: boolean;
}

/** What is said to who comes when too much is waiting, or has waited for too long: nothing of it will be stored. */
const TOO_MANY = 'Too many events are waiting to be stored; try again.';

/** One body, posted many times at once, each time on a connection of its own. */
export class Flood {
  /** The answers so far, by the number of the request. */
  readonly answers = new Map<number, ApiAnswer>();
  /** Requests that are neither acknowledged nor refused with a time to come again. */
  readonly wrong: string[] = [];
  private readonly bytes: Buffer;
  private readonly client: HttpClient;
  private readonly posts: Promise<void>[];

  constructor(
    url: string,
    private readonly body: FloodBody,
    count: number,
  ) {
    this.bytes = Buffer.from(JSON.stringify(body.json));
    this.client = new HttpClient(url, count);
    this.posts = Array.from({ length: count }, (_, number) => this.note(number));
  }

  /** Numbers of the requests whose events are stored. */
  get acknowledged(): number[] {
    return [...this.answers.keys()].filter((number) => this.statusOf(number) < 300);
  }

  /** Numbers of the requests that were told that too much is waiting. */
  get refused(): number[] {
    return [...this.answers.keys()].filter((number) => this.answers.get(number)?.text.includes(TOO_MANY));
  }

  /** Events of each request. */
  get eventsOfEach(): number {
    return Array.isArray(this.body.json) ? this.body.json.length : 1;
  }

  /** Posts again what has this number. */
  post(number: number): Promise<ApiAnswer> {
    const { path, source, isKeyed } = this.body;
    const key: [string, string][] = isKeyed ? [['Idempotency-Key', `${source} ${number}`]] : [];
    const headers: [string, string][] = [['Content-Type', 'application/json'], ...key];
    return this.client.send({ method: 'POST', target: path, headers, body: this.bytes });
  }

  /** Ends when every request has its answer. */
  async done(): Promise<void> {
    await Promise.all(this.posts);
  }

  close(): void {
    this.client.close();
  }

  /** How many of its events are stored. */
  async stored(databaseUrl: string): Promise<number> {
    const sql = 'SELECT count(*)::int AS count FROM system_events WHERE source = $1';
    const [row] = await query<{ count: number }>(databaseUrl, sql, [this.body.source]);
    return row?.count ?? NaN;
  }

  private async note(number: number): Promise<void> {
    try {
      const answer = await this.post(number);
      this.answers.set(number, answer);
      if (!isDocumented(answer)) this.wrong.push(`${number}: ${answer.status} ${answer.text}`);
    } catch (error) {
      this.wrong.push(`${number}: ${String(error)}`);
    }
  }

  private statusOf(number: number): number {
    return this.answers.get(number)?.status ?? NaN;
  }
}

function isDocumented({ status, headers }: ApiAnswer): boolean {
  return status < 300 || (status === 503 && /^[1-9]\d*$/.test(headers['retry-after'] ?? ''));
}
