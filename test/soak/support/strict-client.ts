import { setTimeout as delay } from 'node:timers/promises';
import { HttpClient, type ApiAnswer } from '../../faults/support/http-client';

/** What a request has beside its method and target. */
export interface RequestParts {
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it stands. */
  text?: string;
  headers?: Record<string, string>;
}

/** An answer that should have been another. */
export class WrongAnswer extends Error {}

/** How often a request is sent again that the service has no room for. */
const MAX_REPEATS = 10;

/** Sends requests over kept connections and knows what each must be answered. */
export class StrictClient {
  /** How often the service had no room for a request. */
  refusals = 0;
  private readonly http: HttpClient;

  /** @param onAnswer told how long each request took */
  constructor(
    url: string,
    connections: number,
    private readonly onAnswer: (ms: number, target: string) => void,
  ) {
    this.http = new HttpClient(url, connections);
  }

  /** @throws WrongAnswer with another status */
  async send(expected: number, method: string, target: string, parts?: RequestParts): Promise<ApiAnswer> {
    return expectStatus([expected], `${method} ${target}`, await this.sendOnce(method, target, parts));
  }

  /**
   * The same for what the service takes so many of at once and no more: it may ask the client to come again (503 with
   * `Retry-After`).
   */
  async sendLimited(
    expected: number | readonly number[],
    method: string,
    target: string,
    parts?: RequestParts,
  ): Promise<ApiAnswer> {
    for (let repeats = 0; ; repeats++) {
      const answer = await this.sendOnce(method, target, parts);
      const seconds = Number(answer.headers['retry-after']);
      const isRefused = answer.status === 503 && seconds >= 1 && repeats < MAX_REPEATS;
      if (!isRefused) return expectStatus([expected].flat(), `${method} ${target}`, answer);
      this.refusals++;
      await delay(seconds * 1000);
    }
  }

  /** `send`, and returns the body as JSON. */
  async read<Body>(method: string, target: string, parts?: RequestParts): Promise<Body> {
    return JSON.parse((await this.send(200, method, target, parts)).text) as Body;
  }

  /** `sendLimited`, and returns the body as JSON. */
  async readLimited<Body>(method: string, target: string, parts?: RequestParts): Promise<Body> {
    return JSON.parse((await this.sendLimited(200, method, target, parts)).text) as Body;
  }

  close(): void {
    this.http.close();
  }

  private async sendOnce(method: string, target: string, parts: RequestParts = {}): Promise<ApiAnswer> {
    const { json, text = json === undefined ? undefined : JSON.stringify(json), headers = {} } = parts;
    const all = { ...(json !== undefined && { 'content-type': 'application/json' }), ...headers };
    const start = performance.now();
    const answer = await this.http.send({
      method,
      target,
      headers: Object.entries(all),
      body: text === undefined ? undefined : Buffer.from(text),
    });
    this.onAnswer(performance.now() - start, target);
    return answer;
  }
}

function expectStatus(expected: readonly number[], what: string, answer: ApiAnswer): ApiAnswer {
  if (expected.includes(answer.status)) return answer;
  throw new WrongAnswer(`${what}: ${answer.status} instead of ${expected.join(' or ')}: ${answer.text.slice(0, 1000)}`);
}

/** @throws WrongAnswer when an answer does not say what is known */
export function expectSame(what: string, actual: unknown, expected: unknown): void {
  const [said, known] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (said !== known) throw new WrongAnswer(`${what}: ${said} instead of ${known}`);
}
