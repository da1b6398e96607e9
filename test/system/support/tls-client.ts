import type { IncomingHttpHeaders } from 'node:http';
import { request as openRequest } from 'node:https';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

/** Bytes of a chunk. */
const CHUNK_BYTES = 64 * 1024;

/** What a request may have. */
export interface TlsRequest {
  headers?: Record<string, string>;
  body?: Buffer;
  /** Without a Content-Length. */
  chunked?: boolean;
  /** The address of the loopback to come from. */
  from?: string;
}

/** A response, read to its end. */
export interface TlsResponse {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** Sends a request on a connection of its own to a server that shows `certificate`. */
export function sendOverTls(
  certificate: string,
  method: string,
  url: string,
  { headers, body, chunked = false, from = '127.0.0.1' }: TlsRequest = {},
): Promise<TlsResponse> {
  return new Promise((resolve, reject) => {
    const length = body && !chunked ? { 'content-length': String(body.length) } : undefined;
    const options = { method, ca: certificate, agent: false, localAddress: from, headers: { ...headers, ...length } };
    const request = openRequest(url, options, (response) => {
      const { statusCode = 0, headers } = response;
      text(response).then((read) => resolve({ status: statusCode, headers, text: read }), reject);
    });
    // Of no matter once there is a response: a server may refuse a body before it has read all of it.
    request.once('error', reject);
    Readable.from(piecesOf(body ?? Buffer.alloc(0))).pipe(request);
  });
}

function* piecesOf(body: Buffer): Generator<Buffer> {
  for (let start = 0; start < body.length; start += CHUNK_BYTES) yield body.subarray(start, start + CHUNK_BYTES);
}
