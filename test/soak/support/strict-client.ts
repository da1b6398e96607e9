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

/** Sends requests over kept connections and knows what each must be answered. */
export class StrictClient {
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
  async send(expected: number, method: string, target: string, parts: RequestParts = {}): Promise<ApiAnswer> {
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
    if (answer.status !== expected) {
      throw new WrongAnswer(`${method} ${target}: ${answer.status} instead of ${expected}: ${answer.text}`);
    }
    return answer;
  }

  /** The same, and returns the body as JSON. */
  async read<Body>(method: string, target: string, parts?: RequestParts): Promise<Body> {
    return JSON.parse((await this.send(200, method, target, parts)).text) as Body;
  }

  close(): void {
    this.http.close();
  }
}

/** @throws WrongAnswer when an answer does not say what is known */
export function expectSame(what: string, actual: unknown, expected: unknown): void {
  const [said, known] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (said !== known) throw new WrongAnswer(`${what}: ${said} instead of ${known}`);
}
