import type { ApiProcess } from '../../support/api-process';
import { send } from '../../support/http';

/** What the API shows after a number of changes: an event, the list of its type, a count. */
export type Shown = [message: string, list: string[], count: number];

interface Listed {
  message: string;
}

/** An event that changes, one version after another, and what a process shows of it. */
export class ShownVersions {
  requests = 0;
  /** Milliseconds that the slowest request took since this was last set. */
  slowestMs = 0;
  private version = 0;
  private id = 0;

  /** The keys in Redis, without a prefix, of what is read here. */
  get keys(): string[] {
    return [`events:id:${this.id}`, 'events:type:kept', 'events:stats'];
  }

  /** The next version, through a process, and one event more to count. */
  async change(api: ApiProcess): Promise<void> {
    const message = `version ${++this.version}`;
    const counted = { event_type: 'counted', severity: 'info', message };
    const isFirst = this.version === 1;
    const [method, path] = isFirst ? ['POST', '/api/events'] : ['PUT', `/api/events/${this.id}`];
    const kept = await this.ask(api, method, path, { ...counted, event_type: 'kept' });
    const { status } = await this.ask(api, 'POST', '/api/events', counted);
    expect([kept.status, kept.body, status]).toMatchObject([isFirst ? 201 : 200, { message }, 201]);
    this.id = (kept.body as { id: number }).id;
  }

  /** What is to be seen once the last change is acknowledged. */
  get latest(): Shown {
    return [`version ${this.version}`, [`version ${this.version}`], this.version];
  }

  async shownBy(api: ApiProcess): Promise<Shown> {
    const [event, list, stats] = await Promise.all(
      [String(this.id), 'type/kept', 'stats'].map((path) => this.ask(api, 'GET', `/api/events/${path}`)),
    );
    expect([event?.status, list?.status, stats?.status]).toEqual([200, 200, 200]);
    return [
      (event?.body as Listed).message,
      (list?.body as Listed[]).map(({ message }) => message),
      (stats?.body as { events_by_type: { counted?: number } }).events_by_type.counted ?? 0,
    ];
  }

  private async ask({ url }: ApiProcess, method: string, path: string, json?: object): ReturnType<typeof send> {
    this.requests++;
    const start = performance.now();
    const answer = await send(method, url + path, json && { json });
    this.slowestMs = Math.max(this.slowestMs, performance.now() - start);
    return answer;
  }
}
