import { query } from '../../support/databases';
import { send, type Answer } from '../../support/http';
import type { ApiProcess } from '../../support/api-process';
import { until } from '../../support/services';
import { useStops } from '../../support/stops';
import type { Measurement } from './measurements';

/** What became of a load, held against what is stored. */
export interface Outcome {
  requests: number;
  acknowledged: number;
  /** Acknowledged events that are not stored as they were sent. */
  lost: number[];
  /** Messages with a key that are stored more than once. */
  duplicates: string[];
  /** Keys of batches that are stored in part. */
  torn: string[];
  /** Messages without a key that are stored although their clients were never told. */
  untold: string[];
}

/** Requests at once, and at most in all: a fault that never ends must not flood the machine. */
const WIDTH = 16;
const MAX_REQUESTS = 500_000;

/** Milliseconds before a client gives a request up. */
const PATIENCE_MS = 60_000;

/** Source of the events of a load. */
const SOURCE = 'load';

/** Events of a batch. */
const BATCH = 5;

const KINDS = ['plain', 'keyed', 'batch'] as const;
type Kind = (typeof KINDS)[number];

interface BrokenRequest {
  kind: Kind;
  /** Of the error of the connection. */
  code: string;
}

interface LoadRequest {
  kind: Kind;
  messages: string[];
  key?: string;
}

/** Of a single event, or of a batch. */
interface Acknowledgement {
  id: number;
  ids?: number[];
}

interface LoadOptions {
  /** Whether every fourth request is a batch, with a key. */
  batches?: boolean;
}

/**
 * Clients that post events to one process after the other and remember each acknowledgement. Every second request has
 * an `Idempotency-Key` and is sent again, elsewhere, until it is acknowledged, as a service that retries does.
 */
export class Load {
  /** The id and the message of each acknowledgement: after a loss the same id may be given again. */
  readonly acknowledged: [id: number, message: string][] = [];
  /** How often each status was answered; 0 is a connection that broke. */
  readonly statuses = new Map<number, number>();
  /** Each request that failed otherwise than with ECONNREFUSED: a listener was there. */
  readonly broken: BrokenRequest[] = [];
  /** Answers that are no acknowledgement and not as documented. */
  readonly wrong: string[] = [];
  private sent = 0;
  private stopped = false;
  private readonly abandoned = new AbortController();
  private readonly clients: Promise<void>[];

  /** @param urls read at each request: processes come and go */
  constructor(
    private readonly urls: () => string[],
    private readonly options: LoadOptions = {},
  ) {
    this.clients = Array.from({ length: WIDTH }, () => this.post());
  }

  /** Whether requests of every kind broke. */
  get brokeEveryKind(): boolean {
    return KINDS.every((kind) => this.broken.some((request) => request.kind === kind));
  }

  /** Resolves once `count` more events are acknowledged. */
  async more(count: number): Promise<void> {
    const enough = this.acknowledged.length + count;
    await until(() => this.acknowledged.length >= enough, `${count} more events are acknowledged`, 60_000);
  }

  /** Milliseconds from now to the next acknowledgement: how long it takes to recover from a fault that ends now. */
  async recovery(): Promise<number> {
    const start = performance.now();
    const before = this.acknowledged.length;
    await until(() => this.acknowledged.length > before, 'an event is acknowledged again', 60_000);
    return performance.now() - start;
  }

  /** Ends when every event under way has its answer, and every key its acknowledgement. */
  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.clients);
  }

  /** Ends without caring for what is under way: after a test that failed. */
  async abandon(): Promise<void> {
    this.abandoned.abort();
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
    const lost = this.acknowledged.filter(([id, message]) => stored.get(id) !== message).map(([id]) => id);
    const seen = new Set<string>();
    const keyed = rows.map(({ message }) => message).filter((message) => message.startsWith('keyed '));
    const duplicates = keyed.filter((message) => seen.size === seen.add(message).size);
    const batches = new Map<string, number>();
    for (const [key = '', place] of keyed.map((message) => message.split('.'))) {
      if (place !== undefined) batches.set(key, (batches.get(key) ?? 0) + 1);
    }
    const torn = [...batches].filter(([, events]) => events !== BATCH).map(([key]) => key);
    const told = new Set(this.acknowledged.map(([, message]) => message));
    const untold = [...stored.values()].filter((message) => message.startsWith('plain ') && !told.has(message));
    return { requests: this.sent, acknowledged: this.acknowledged.length, lost, duplicates, torn, untold };
  }

  /** Expects that nothing acknowledged is lost, no key stored twice or in part, as the figures of a measurement. */
  async expectNothingLost(databaseUrl: string): Promise<Measurement> {
    const { requests, acknowledged, lost, duplicates, torn } = await this.compare(databaseUrl);
    expect([lost, duplicates, torn]).toEqual([[], [], []]);
    return { requests, acknowledged, lost: 0, duplicates: 0 };
  }

  private async post(): Promise<void> {
    while (!this.stopped && this.sent < MAX_REQUESTS) {
      const number = this.sent++;
      // Every kind of request to every process.
      const turn = Math.floor(number / 4);
      const key = `keyed ${number}`;
      if (number % 2 === 0) await this.attempt({ kind: 'plain', messages: [`plain ${number}`] }, turn);
      else if (this.options.batches === true && number % 4 === 1)
        await this.insist({ kind: 'batch', messages: batchOf(key), key }, turn);
      else await this.insist({ kind: 'keyed', messages: [key], key }, turn);
    }
  }

  private async insist(request: LoadRequest, turn: number): Promise<void> {
    for (let tries = 0; !(await this.attempt(request, turn + tries)); tries++) {
      if (this.abandoned.signal.aborted || this.sent++ > MAX_REQUESTS) return;
    }
  }

  private async attempt(request: LoadRequest, turn: number): Promise<boolean> {
    const urls = this.urls();
    const answer = await this.send(urls[turn % urls.length]!, request);
    this.count(answer?.status ?? 0);
    const isStored = answer?.status === (request.kind === 'batch' ? 200 : 201);
    if (isStored) {
      const ids = answer.body.ids ?? [answer.body.id];
      request.messages.forEach((message, place) => this.acknowledged.push([ids[place] ?? -1, message]));
    } else if (answer && !isDocumented(answer)) this.wrong.push(`${answer.status} ${answer.text}`);
    // A moment for whoever is away to come back; not a matter of time for what is asserted.
    if (!isStored) await new Promise((resolve) => setTimeout(resolve, 20));
    return isStored;
  }

  private async send(url: string, { kind, messages, key }: LoadRequest): Promise<Answer<Acknowledgement> | undefined> {
    const events = messages.map((message) => ({ event_type: 'load', severity: 'info', message, source: SOURCE }));
    const isBatch = kind === 'batch';
    const target = new URL(isBatch ? '/api/events/batch' : '/api/events', url).href;
    try {
      return await send('POST', target, {
        json: isBatch ? events : events[0],
        ...(key !== undefined && { headers: { 'idempotency-key': key } }),
        signal: AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), this.abandoned.signal]),
      });
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'ECONNREFUSED') this.broken.push({ kind, code });
      return undefined;
    }
  }

  private count(status: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
  }
}

const batchOf = (key: string): string[] => Array.from({ length: BATCH }, (_, place) => `${key}.${place}`);

// The same key may still be under way where the connection broke.
function isDocumented({ status, headers }: Answer): boolean {
  if (headers.get('content-type')?.startsWith('application/problem+json') !== true) return false;
  return status === 409 || (status === 503 && /^[1-9]\d*$/.test(headers.get('retry-after') ?? ''));
}

// Node's fetch hides the error of the connection in the cause of its own.
function codeOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string } };
  return cause?.code ?? String(error);
}

/** Starts loads that are abandoned after each test of a file or a `describe`, on a process or on what `urls` says. */
export function useLoads(): (target: ApiProcess | (() => string[]), options?: LoadOptions) => Load {
  const stops = useStops();
  return (target, options) => {
    const load = new Load(typeof target === 'function' ? target : () => [target.url], options);
    stops.push(() => load.abandon());
    return load;
  };
}
