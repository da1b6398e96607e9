import { setTimeout as delay } from 'node:timers/promises';
import { EventOwner } from './event-owner';
import { HeavyTraffic } from './heavy-traffic';
import type { History } from './history';
import { RudeClients } from './rude-clients';
import { expectSame, StrictClient, WrongAnswer } from './strict-client';

const CLIENTS = 16;

/** What a client does in a second at most, on average two requests each: what two shared cores have time for. */
const STEPS_PER_SECOND = 5;

/** Events of a source at most: the table is as large in the last minute as in the second. */
const MAX_EVENTS = 1000;

/** Wrong answers that are told; after as many the traffic stops. */
const MAX_WRONG = 20;

/** Sources of which nobody knows what was stored. */
const LEFT = 'left';

const LIVE = '/health/live';

type Step = (owner: EventOwner, traffic: MixedTraffic) => Promise<void>;

/** What a client does in a hundred steps. */
const MIX: [times: number, step: Step][] = [
  [20, (owner) => owner.create()],
  [5, (owner) => owner.createOnce()],
  [3, (owner) => owner.createBatch()],
  [16, (owner) => owner.get()],
  [8, (owner) => owner.getUnchanged()],
  [4, (owner) => owner.change('PUT')],
  [4, (owner) => owner.change('PATCH')],
  [4, (owner) => owner.delete()],
  [6, (owner) => owner.list()],
  [4, (owner) => owner.search()],
  [4, (owner) => owner.count()],
  [1, (owner) => owner.export()],
  [12, (_owner, traffic) => traffic.probe()],
  [5, (_owner, traffic) => traffic.sendInvalid()],
  [1, (_owner, traffic) => traffic.staySilent()],
  [1, (_owner, traffic) => traffic.leaveInBody()],
  [1, (_owner, traffic) => traffic.leaveBeforeAnswer()],
  [1, (_owner, traffic) => traffic.leaveWithinAnswer()],
];

const STEPS = MIX.flatMap(([times, step]) => Array.from({ length: times }, () => step));

const JSON_TYPE = { 'content-type': 'application/json' };

const INVALID: [status: number, method: string, target: string, parts?: Parameters<StrictClient['send']>[3]][] = [
  [400, 'POST', '/api/events', { text: '{"event_type":', headers: JSON_TYPE }],
  [400, 'GET', '/api/events?source=%ff'],
  [404, 'GET', '/nothing'],
  [404, 'GET', '/api/events/9007199254740991'],
  [405, 'PUT', '/api/events', { json: {} }],
  [415, 'POST', '/api/events', { text: 'x=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
  [422, 'POST', '/api/events', { json: { event_type: '', severity: 'fatal' } }],
  [422, 'GET', '/api/events?limit=0'],
  [422, 'DELETE', '/api/events'],
];

/** Clients that do what clients do, well behaved and not, at a bounded rate, each after its last answer. */
export class MixedTraffic {
  /** What went other than it must. */
  readonly wrong: string[] = [];
  readonly owners: EventOwner[];
  requests = 0;
  private stopped = false;
  private readonly client: StrictClient;
  private readonly rude: RudeClients;
  private readonly heavy: HeavyTraffic;

  /**
   * @param history what slow reads read
   * @param onAnswer told how long a request of the ordinary kind took, and whether it was one to `/health/live`
   */
  constructor(
    private readonly url: string,
    history: History,
    onAnswer: (ms: number, isLive: boolean) => void,
  ) {
    this.client = new StrictClient(url, CLIENTS, (ms, target) => {
      this.requests++;
      onAnswer(ms, target === LIVE);
    });
    this.rude = new RudeClients(url);
    this.heavy = new HeavyTraffic(url, history, (error) => this.noteWrong(error));
    // Of different sizes, so that they do not all delete at the same time.
    const sizes = Array.from({ length: CLIENTS }, (_, index) => (MAX_EVENTS * (CLIENTS + index)) / (2 * CLIENTS));
    this.owners = sizes.map((size, index) => new EventOwner(String(index), this.client, size));
  }

  get acknowledged(): number {
    return this.owners.reduce((sum, owner) => sum + owner.acknowledged, 0);
  }

  /** Resolves when every client has stopped; their connections stay open. */
  async run(): Promise<void> {
    await Promise.all([this.heavy.run(), ...this.owners.map((owner, index) => this.walk(owner, index))]);
  }

  stop(): void {
    this.stopped = true;
    this.heavy.stop();
  }

  /** What was mixed in of dear requests. */
  describeHeavy(): string {
    return this.heavy.description;
  }

  /** Closes the connections. */
  close(): void {
    this.client.close();
    this.rude.close();
    this.heavy.close();
  }

  async probe(): Promise<void> {
    await this.client.send(200, 'GET', LIVE);
    if (this.requests % 5 === 0) await this.client.send(200, 'GET', '/health/ready');
    if (this.requests % 50 === 0) await this.client.send(200, 'GET', '/health');
  }

  async sendInvalid(): Promise<void> {
    for (const request of INVALID.slice(this.requests % 3).filter((_, index) => index % 3 === 0)) {
      const { headers } = await this.client.send(...request);
      expectSame('the type of a problem', headers['content-type']?.split(';', 1)[0], 'application/problem+json');
    }
  }

  async staySilent(): Promise<void> {
    this.rude.staySilent();
    return Promise.resolve();
  }

  leaveInBody(): Promise<void> {
    return this.rude.leaveAfter(`${this.head(1000)}{"event_type":`);
  }

  async leaveBeforeAnswer(): Promise<void> {
    const body = JSON.stringify({ event_type: LEFT, severity: 'info', message: LEFT, source: LEFT });
    await this.rude.leaveAfter(this.head(body.length) + body);
    if (this.requests % 10 === 0) await this.client.send(200, 'DELETE', `/api/events?source=${LEFT}`);
  }

  async leaveWithinAnswer(): Promise<void> {
    const statusLine = await this.rude.leaveWithinAnswer('/api/events/export');
    expectSame('an export that is left', statusLine, 'HTTP/1.1 200 OK');
  }

  private async walk(owner: EventOwner, index: number): Promise<void> {
    const intervalMs = 1000 / STEPS_PER_SECOND;
    for (let number = index; !this.stopped; number++) {
      const next = performance.now() + intervalMs;
      // Every client begins elsewhere, and goes through all steps in an order that spreads those of a kind.
      await this.attempt(owner, STEPS[(number * 37 + index * 11) % STEPS.length]);
      await delay(Math.max(0, next - performance.now()));
    }
  }

  private async attempt(owner: EventOwner, step: Step | undefined): Promise<void> {
    try {
      if (owner.isFull()) await owner.deleteAll();
      else await step?.(owner, this);
    } catch (error) {
      this.noteWrong(error);
    }
  }

  private noteWrong(error: unknown): void {
    this.wrong.push(error instanceof WrongAnswer ? error.message : String(error));
    if (this.wrong.length >= MAX_WRONG) this.stop();
  }

  private head(length: number): string {
    const { host } = new URL(this.url);
    return `POST /api/events HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
  }
}
