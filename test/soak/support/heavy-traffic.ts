import { setTimeout as delay } from 'node:timers/promises';
import { hopelessFiles, largeBatches } from './heavy-bodies';
import type { History } from './history';
import { expectSame, StrictClient, WrongAnswer } from './strict-client';

/** Slow reads at once: more than there are connections to PostgreSQL, as from ten open dashboards. */
const READERS = 24;

/** Seconds between two beginnings: what leaves the ordinary clients most of two cores. */
const EVERY_S = { reads: 15, file: 10, batch: 30 };

/** What a file may have of refused events at least before the service need not read on. */
const HOPELESS_EVENTS = 10_000;

/** Requests that are dear, by intent or by accident, at a bounded rate; all that they store is deleted again. */
export class HeavyTraffic {
  private readonly client: StrictClient;
  private readonly stopped = new AbortController();
  private reads = 0;
  private files = 0;
  private batches = 0;

  /** @param onWrong told what went other than it must */
  constructor(
    url: string,
    private readonly history: History,
    private readonly onWrong: (error: unknown) => void,
  ) {
    this.client = new StrictClient(url, READERS + 2, () => undefined);
  }

  /** What was done, and how often the service asked to come again. */
  get description(): string {
    return `${this.reads} slow reads, ${this.files} wrong imports, ${this.batches} large batches, ${this.client.refusals} times refused for the moment`;
  }

  /** Resolves when it was stopped and the last request has its response. */
  async run(): Promise<void> {
    await Promise.all([
      this.every(EVERY_S.batch, () => this.storeBatch()),
      this.every(EVERY_S.file, () => this.importFile()),
      this.every(EVERY_S.reads, async () => {
        await Promise.all(Array.from({ length: READERS }, (_, reader) => this.attempt(() => this.read(reader))));
      }),
    ]);
  }

  stop(): void {
    this.stopped.abort();
  }

  close(): void {
    this.client.close();
  }

  private async every(seconds: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      const rest = delay(seconds * 1000, undefined, { signal }).catch(() => undefined);
      await this.attempt(work);
      await rest;
    }
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.onWrong(error);
    }
  }

  // Each of another range, so that none gets the response of another.
  private async read(reader: number): Promise<void> {
    const expected = this.history.events - (this.reads++ % 10_000);
    const since = this.history.sinceOf(expected);
    const filter = `source=history&q=history&since=${since}`;
    const get = (target: string): ReturnType<StrictClient['sendLimited']> =>
      this.client.sendLimited(200, 'GET', `/api/events${target}`);
    switch (reader % 4) {
      case 0: {
        const { text } = await get(`/facets?${filter}`);
        return expectSame('facets of history', (JSON.parse(text) as { total: number }).total, expected);
      }
      case 1: {
        const { text } = await get(`/timeseries?${filter}&group_by=event_type&bucket=1d`);
        const { series } = JSON.parse(text) as { series: { total: number }[] };
        const total = series.reduce((sum, each) => sum + each.total, 0);
        return expectSame('a time series of history', total, expected);
      }
      case 2: {
        const { headers } = await get(`?${filter}&count=exact&limit=1`);
        return expectSame('an exact count of history', headers['x-total-count'], String(expected));
      }
      default: {
        const { text } = await get(`?source=history&since=${since}&offset=${expected - 1}&limit=2`);
        const messages = (JSON.parse(text) as { message: string }[]).map(({ message }) => message);
        return expectSame('the last of history', messages, [`history number ${expected - 1}`]);
      }
    }
  }

  /** Nothing of it is stored. A service that reads to the end says so of each event; one that gives up, when many came. */
  private async importFile(): Promise<void> {
    const { name, type, body, events } = hopelessFiles(this.files++);
    const headers = { 'content-type': type };
    const parts = { text: body, headers };
    const mayGiveUp = events > HOPELESS_EVENTS;
    const { status, text } = await this.client.sendLimited(
      mayGiveUp ? [200, 422] : 200,
      'POST',
      '/api/events/import',
      parts,
    );
    if (status !== 200) return;
    const { imported, rejected } = JSON.parse(text) as { imported: number; rejected: number };
    expectSame(`an import of ${name}`, [imported, rejected], [0, events]);
  }

  private async storeBatch(): Promise<void> {
    const source = `large-${this.batches}`;
    const { name, body, events, mayBeRefused } = largeBatches(this.batches++, source);
    // Under a key, so that it can be sent again whatever became of it before.
    const parts = { text: body, headers: { 'content-type': 'application/json', 'idempotency-key': source } };
    const allowed = mayBeRefused ? [200, 413, 422] : 200;
    const { status, text } = await this.client.sendLimited(allowed, 'POST', '/api/events/batch', parts);
    const said = status === 200 ? (JSON.parse(text) as { accepted: number; rejected: number }) : undefined;
    const accepted = said?.accepted ?? 0;
    if (said) expectSame(`a batch of ${name}`, said.accepted + said.rejected, events);
    if (!mayBeRefused) expectSame(`a batch of ${name}`, accepted, events);
    const removed = await this.client.sendLimited(200, 'DELETE', `/api/events?source=${source}`);
    const { deleted } = JSON.parse(removed.text) as { deleted: number };
    if (deleted !== accepted)
      throw new WrongAnswer(`of a batch of ${name} ${accepted} acknowledged, ${deleted} stored`);
  }
}
