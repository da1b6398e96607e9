import { setTimeout as pause } from 'node:timers/promises';
import type { ApiProcess } from '../../support/api-process';
import { send, type Answer } from '../../support/http';

/** Milliseconds between two changes of a round, and between two reads of a reader, at most. */
const [CHANGE_PAUSE_MS, READ_PAUSE_MS] = [120, 40];

const VIEWS = ['event', 'list', 'count'] as const;
const STEPS = ['create', 'move away', 'move back', 'delete'] as const;

/** What the API shows of the event: under its id, in the list of its type, in the counts. */
type State = Record<(typeof VIEWS)[number], string>;

/** What one read showed. */
interface Observation {
  view: keyof State;
  shown: string;
}

const GONE: State = { event: '404', list: '[]', count: '0' };

/**
 * An event that is created, changed and deleted by one process or another, one change after another, each of which
 * changes all that the API shows of it. Nobody else touches its type.
 */
export class WatchedEvent {
  changes = 0;
  reads = 0;
  private id = 0;
  private step = 0;

  constructor(
    private readonly apis: readonly ApiProcess[],
    private readonly type: string,
  ) {}

  /**
   * Two changes, both processes reading, and thereby filling the cache, until the second one is acknowledged.
   *
   * @returns what reads showed that were sent after a change had been acknowledged, and that was older than it
   */
  async round(): Promise<string[]> {
    const before = await this.change();
    let changing = true;
    const readers = this.apis.map((api) => this.readWhile(api, () => changing));
    await pause(Math.random() * CHANGE_PAUSE_MS);
    const after = await this.change();
    changing = false;
    const atOnce = await this.readAll();
    const meanwhile = (await Promise.all(readers)).flat();
    // By now it is stored what the slowest of the readers had loaded.
    const later = await this.readAll();
    return [...older(meanwhile, [before, after]), ...older([...atOnce, ...later], [after])];
  }

  /** The next change, by either process; what is to be seen once it is acknowledged. */
  async change(): Promise<State> {
    const step = STEPS[this.step++ % STEPS.length];
    const message = `version ${++this.changes}`;
    switch (step) {
      case 'move away':
        return this.shown(await this.write('PATCH', { event_type: `${this.type}-elsewhere`, message }), false);
      case 'move back':
        return this.shown(await this.write('PUT', { event_type: this.type, severity: 'info', message }), true);
      case 'delete':
        await this.write('DELETE');
        return GONE;
      default:
        return this.create(message);
    }
  }

  private async create(message: string): Promise<State> {
    const json = { event_type: this.type, severity: 'info', message };
    const answer = await send<{ id: number }>('POST', `${this.anyUrl()}/api/events`, { json });
    expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
    this.id = answer.body.id;
    return this.shown(answer, true);
  }

  private async write(method: string, json?: object): Promise<Answer> {
    const answer = await send(method, `${this.anyUrl()}/api/events/${this.id}`, json && { json });
    expect([answer.status < 300, answer.text]).toEqual([true, expect.any(String)]);
    return answer;
  }

  private shown({ text }: Answer, isListed: boolean): State {
    return { event: text, list: isListed ? `[${text}]` : '[]', count: isListed ? '1' : '0' };
  }

  private async readWhile(api: ApiProcess, goesOn: () => boolean): Promise<Observation[]> {
    const observations = await this.readAll([api]);
    while (goesOn()) {
      observations.push(await this.read(api, oneOf(VIEWS)));
      await pause(Math.random() * READ_PAUSE_MS);
    }
    return observations;
  }

  private readAll(apis = this.apis): Promise<Observation[]> {
    return Promise.all(apis.flatMap((api) => VIEWS.map((view) => this.read(api, view))));
  }

  private async read({ url }: ApiProcess, view: keyof State): Promise<Observation> {
    this.reads++;
    const path = { event: this.id, list: `type/${this.type}`, count: 'stats' }[view];
    const { status, text, body } = await send('GET', `${url}/api/events/${path}`);
    expect([status === 200 || (view === 'event' && status === 404), text]).toEqual([true, expect.any(String)]);
    if (status === 404) return { view, shown: GONE.event };
    if (view !== 'count') return { view, shown: text };
    const { events_by_type } = body as { events_by_type: Record<string, number> };
    return { view, shown: String(events_by_type[this.type] ?? 0) };
  }

  private anyUrl(): string {
    return oneOf(this.apis).url;
  }
}

function oneOf<T>(all: readonly T[]): T {
  return all[Math.floor(Math.random() * all.length)]!;
}

function older(observations: Observation[], states: State[]): string[] {
  return observations
    .filter(({ view, shown }) => !states.some((state) => state[view] === shown))
    .map(({ view, shown }) => `${view}: ${shown}, instead of ${states.map((state) => state[view]).join(' or ')}`);
}
