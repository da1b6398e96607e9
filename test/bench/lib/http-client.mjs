import { Buffer } from 'node:buffer';
import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { URL } from 'node:url';

/** One connection that stays open, for latencies: `fetch` alone takes longer than some answers. */
export class HttpClient {
  #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  /** @param base the address of a server */
  constructor(base) {
    this.base = base;
  }

  /** @returns status, headers, body and the milliseconds until the last byte */
  send(method, path, body) {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const start = performance.now();
    return new Promise((resolve, reject) => {
      const sent = request(new URL(path, this.base), { method, headers, agent: this.#agent }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const ms = performance.now() - start;
          resolve({
            status: response.statusCode,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
            ms,
          });
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  /** `send`. @throws when the status is another */
  async expect(status, method, path, body) {
    const answer = await this.send(method, path, body);
    if (answer.status === status) return answer;
    throw new Error(`${method} ${path} answered ${answer.status}:\n${answer.body.slice(0, 300)}`);
  }

  close() {
    this.#agent.destroy();
  }
}
