import { Agent, request as openRequest, type IncomingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { brotliDecompressSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import type { ApiRequest } from './openapi-requests';

/** An answer, read to its end. */
export interface ApiAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** Milliseconds until an answer is given up. */
const TIMEOUT_MS = 120_000;

/** Sends requests over kept connections: several times cheaper than `fetch`. */
export class HttpClient {
  private readonly agent: Agent;

  constructor(
    private readonly url: string,
    connections: number,
  ) {
    this.agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  async send({ method, target, headers, body }: ApiRequest): Promise<ApiAnswer> {
    const { hostname, port } = new URL(this.url);
    const length: [string, string][] = body ? [['Content-Length', String(body.length)]] : [];
    return new Promise((resolve, reject) => {
      const request = openRequest({
        agent: this.agent,
        hostname,
        port,
        method,
        path: target,
        headers: Object.fromEntries([...headers, ...length]),
        timeout: TIMEOUT_MS,
      });
      request.once('response', (response) => {
        const { statusCode = 0, headers: answered } = response;
        buffer(response).then(
          (bytes) => resolve({ status: statusCode, headers: answered, text: decode(bytes, answered) }),
          reject,
        );
      });
      request.once('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
      request.once('error', reject);
      request.end(body);
    });
  }

  /** The request as a command for a shell. */
  toCurl({ method, target, headers, body }: ApiRequest): string {
    const parts = ['curl -sgi --path-as-is', method === 'HEAD' ? '-I' : `-X ${method}`, quote(this.url + target)];
    // A header without a value is written with a semicolon.
    for (const [name, value] of headers) parts.push('-H', quote(value === '' ? `${name};` : `${name}: ${value}`));
    if (!body) return parts.join(' ');
    if (!headers.some(([name]) => name.toLowerCase() === 'content-type')) parts.push(`-H 'Content-Type:'`);
    const packed = Buffer.from(gzipSync(body)).toString('base64');
    const text = Buffer.from(body).toString('latin1');
    if (text.length <= 2000) return `printf %b ${quote(escapeForPrintf(text))} | ${parts.join(' ')} --data-binary @-`;
    return `echo ${packed} | base64 -d | gunzip | ${parts.join(' ')} --data-binary @-`;
  }

  close(): void {
    this.agent.destroy();
  }
}

function decode(bytes: Buffer, { 'content-encoding': encoding }: IncomingHttpHeaders): string {
  if (bytes.length === 0) return '';
  switch (encoding) {
    case 'gzip':
      return gunzipSync(bytes).toString();
    case 'deflate':
      return inflateSync(bytes).toString();
    case 'br':
      return brotliDecompressSync(bytes).toString();
    default:
      return bytes.toString();
  }
}

function quote(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? `'${text.replaceAll("'", `'\\''`)}'` : `$'${escapeForShell(text)}'`;
}

function escapeForShell(text: string): string {
  return text.replace(/[^\x20-\x7e]|['\\]/g, (character) => `\\x${hex(character)}`);
}

function escapeForPrintf(text: string): string {
  return text.replace(/[^\x20-\x7e]|\\/g, (character) => `\\x${hex(character)}`);
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, '0');
}
