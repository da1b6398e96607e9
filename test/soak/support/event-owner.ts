import type { EventBody } from '../../support/events';
import type { ApiAnswer } from '../../faults/support/http-client';
import { expectSame, WrongAnswer, type StrictClient } from './strict-client';

const BATCH_EVENTS = 50;

/** Events of a page of a list. */
const PAGE_EVENTS = 20;

const SEVERITIES = ['info', 'warning', 'error', 'critical'];

/** An event as it was acknowledged last; a batch tells no tag. */
interface Known {
  message: string;
  etag: string | undefined;
}

/**
 * A client that alone writes the events of one source, one request after the other, and so knows what every answer about
 * them must say.
 */
export class EventOwner {
  /** What is stored, by id, the oldest first. */
  readonly known = new Map<number, Known>();
  acknowledged = 0;
  readonly source: string;
  private written = 0;
  private chosen = 0;

  /** @param maxEvents how many it keeps before it deletes them all */
  constructor(
    readonly name: string,
    private readonly client: StrictClient,
    private readonly maxEvents: number,
  ) {
    this.source = `owner-${name}`;
  }

  isFull(): boolean {
    return this.known.size >= this.maxEvents;
  }

  async create(): Promise<void> {
    const json = this.newEvent();
    this.learn(await this.client.send(201, 'POST', '/api/events', { json }), json.message);
  }

  /** The same again gets the same answer, anything else under the key a 422. */
  async createOnce(): Promise<void> {
    const json = this.newEvent();
    const headers = { 'idempotency-key': json.message };
    const first = await this.client.send(201, 'POST', '/api/events', { json, headers });
    this.learn(first, json.message);
    const again = await this.client.send(201, 'POST', '/api/events', { json, headers });
    expectSame('a repeated request', [again.headers['idempotent-replayed'], again.text], ['true', first.text]);
    await this.client.send(422, 'POST', '/api/events', { json: { ...json, message: 'another' }, headers });
  }

  /** A batch in which one event is refused. */
  async createBatch(): Promise<void> {
    const events = Array.from({ length: BATCH_EVENTS }, () => this.newEvent());
    const body = await this.client.read<{ ids: (number | null)[]; rejected: number }>('POST', '/api/events/batch', {
      json: [...events, { message: 'no event' }],
    });
    expectSame('a batch', [body.ids.length, body.ids.at(-1), body.rejected], [BATCH_EVENTS + 1, null, 1]);
    for (const [index, { message }] of events.entries()) this.remember(body.ids[index], { message, etag: undefined });
  }

  /** Twice, so that the second is answered from the cache. */
  async get(): Promise<void> {
    const [id, known] = await this.choose();
    for (let round = 0; round < 2; round++) {
      const answer = await this.client.send(200, 'GET', `/api/events/${id}`);
      expectSame('an event', (JSON.parse(answer.text) as EventBody).message, known.message);
      this.learn(answer, known.message);
    }
  }

  async getUnchanged(): Promise<void> {
    const [id, { etag }] = await this.choose();
    if (etag === undefined) await this.get();
    else await this.client.send(304, 'GET', `/api/events/${id}`, { headers: { 'if-none-match': etag } });
  }

  async change(method: 'PUT' | 'PATCH'): Promise<void> {
    const [id, { etag }] = await this.choose();
    const message = this.newMessage();
    const headers: Record<string, string> = etag === undefined ? {} : { 'if-match': etag };
    const changed = await this.client.send(200, method, `/api/events/${id}`, { json: { message }, headers });
    this.learn(changed, message);
    if (etag === undefined) return;
    await this.client.send(412, method, `/api/events/${id}`, { json: { message: 'too late' }, headers });
  }

  async delete(): Promise<void> {
    const [id] = await this.choose();
    await this.client.send(204, 'DELETE', `/api/events/${id}`);
    this.known.delete(id);
    await this.client.send(404, 'GET', `/api/events/${id}`);
  }

  async deleteAll(): Promise<void> {
    const expected = this.known.size;
    for (const query of [`source=${this.source}&dry_run=true`, `source=${this.source}`]) {
      const { deleted } = await this.client.readLimited<{ deleted: number }>('DELETE', `/api/events?${query}`);
      expectSame(`DELETE with ${query}`, deleted, expected);
    }
    this.known.clear();
  }

  /** The newest ones, by source over some pages, and the first page of their type. */
  async list(): Promise<void> {
    let target: string | undefined = `/api/events?source=${this.source}&limit=${PAGE_EVENTS}&count=exact`;
    const listed: number[] = [];
    while (target !== undefined && listed.length < 3 * PAGE_EVENTS) {
      const answer = await this.client.sendLimited(200, 'GET', target, { headers: { 'accept-encoding': 'gzip' } });
      if (listed.length === 0) expectSame('X-Total-Count', answer.headers['x-total-count'], String(this.known.size));
      listed.push(...idsOf(answer));
      target = /^<([^>]+)>; rel="next"/.exec(String(answer.headers.link))?.[1];
    }
    expectSame('pages', listed, this.newest(3 * PAGE_EVENTS));
    const typed = await this.client.send(200, 'GET', `/api/events/type/${this.name}`);
    expectSame('a type', idsOf(typed), this.newest(100));
  }

  async search(): Promise<void> {
    const [id, { message }] = await this.choose();
    const word = message.split(' ').at(-1);
    const found = await this.client.send(200, 'GET', `/api/events?q=${word}&min_severity=info&since=30d`);
    expectSame(`q=${word}`, idsOf(found), [id]);
    const numbers = `/api/events?source=${this.source}&details.of=${this.name}&details.list=2&limit=5&offset=1`;
    expectSame('details', idsOf(await this.client.send(200, 'GET', numbers)), this.newest(6).slice(1));
  }

  /** All the ways of counting. */
  async count(): Promise<void> {
    const expected = this.known.size;
    const { total } = await this.client.readLimited<{ total: number }>(
      'GET',
      `/api/events/facets?source=${this.source}`,
    );
    expectSame('facets', total, expected);
    const until = new Date(Date.now() + 60_000).toISOString();
    const { series } = await this.client.readLimited<{ series: { total: number }[] }>(
      'GET',
      `/api/events/timeseries?source=${this.source}&since=2d&until=${until}&group_by=severity`,
    );
    const inSeries = series.reduce((sum, each) => sum + each.total, 0);
    expectSame('a time series', inSeries, expected);
    const stats = await this.client.readLimited<{ total_events: number }>('GET', '/api/events/stats');
    // Others only ever delete what is theirs.
    if (!(stats.total_events >= expected)) {
      throw new WrongAnswer(`statistics of ${stats.total_events} with ${expected} of one source`);
    }
  }

  async export(): Promise<void> {
    const format = ['ndjson', 'json', 'csv'][this.chosen++ % 3] ?? '';
    const target = `/api/events/export?source=${this.source}&format=${format}`;
    const { text } = await this.client.send(200, 'GET', target, { headers: { 'accept-encoding': 'gzip' } });
    expectSame(`an export as ${format}`, text.split(this.source).length - 1, this.known.size);
  }

  private newEvent(): { message: string } & Record<string, unknown> {
    const severity = SEVERITIES[this.written % SEVERITIES.length];
    const details = { of: this.name, list: [1, 2], text: 'x'.repeat(200) };
    return { event_type: this.name, severity, message: this.newMessage(), source: this.source, details };
  }

  private newMessage(): string {
    return `mixed traffic n${this.name}x${this.written++}`;
  }

  private async choose(): Promise<[id: number, known: Known]> {
    if (this.known.size === 0) await this.create();
    const all = [...this.known];
    // A prime number, so that every event has its turn.
    return all[(this.chosen++ * 7919) % all.length] ?? this.choose();
  }

  private learn({ text, headers }: ApiAnswer, message: string): void {
    const { id } = JSON.parse(text) as EventBody;
    if (this.known.has(id)) this.known.set(id, { message, etag: headers.etag });
    else this.remember(id, { message, etag: headers.etag });
  }

  private remember(id: number | null | undefined, known: Known): void {
    if (typeof id !== 'number') throw new WrongAnswer(`no id for ${known.message}`);
    this.known.set(id, known);
    this.acknowledged++;
  }

  private newest(count: number): number[] {
    return [...this.known.keys()].slice(-count).reverse();
  }
}

function idsOf({ text }: ApiAnswer): number[] {
  return (JSON.parse(text) as EventBody[]).map(({ id }) => id);
}
