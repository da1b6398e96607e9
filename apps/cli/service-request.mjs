import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { URL } from 'node:url';
import { CommandError } from './command-line.mjs';

/** Milliseconds without a byte in either direction after which a service that has not answered is given up. */
const PATIENCE_MS = 120_000;

/** Milliseconds after which a connection without a byte is probed: whoever reads an export may take any time. */
const PROBE_MS = 30_000;

/** A request to the service, its body still to be sent. */
export function openRequest(base, path, { method = 'GET', token, headers = {} }) {
  const url = new URL(path, base);
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const request = open(url, { method, headers: { ...headers, ...authorization } });
  request.setTimeout(PATIENCE_MS, () => request.destroy(new Error('nothing came for too long')));
  request.once('response', () => request.setTimeout(0));
  request.setSocketKeepAlive(true, PROBE_MS);
  return request;
}

/** The answer to a request, its body still to be read. @throws CommandError when there is none, or an error */
export async function answerTo(request, base) {
  const response = await new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', (error) => reject(new CommandError(`${base} does not answer: ${reasonOf(error)}`)));
  });
  if (response.statusCode === 200) return response;
  throw new CommandError(describeProblem(response, await text(response).catch(() => '')));
}

/** What went wrong with a connection, in words; several addresses that were tried make an error without any. */
export function reasonOf(error) {
  return error.message || error.errors?.[0]?.message || error.code || error.name;
}

// problem+json (RFC 9457), or whatever a proxy in front of the service says.
function describeProblem({ statusCode, statusMessage }, body) {
  const status = `${statusCode} ${statusMessage}`;
  try {
    const { detail, errors = [] } = JSON.parse(body);
    const others = errors.slice(1).map((error) => `\n  ${error.detail}`);
    return `${status}: ${detail}${others.join('')}`;
  } catch {
    return `The service answers ${status}.`;
  }
}
