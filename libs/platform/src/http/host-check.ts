import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { HttpConfig } from '../config/config';
import { hostName, isLoopback } from '../config/host-name';
import { AppError } from './app-error';
import { shorten } from './json-body';
import { authorityOfTarget } from './request-target';

/** What is wrong with the host that a request, an upgrade among them, is for; `undefined` when nothing is. */
export type HostCheck = (request: IncomingMessage) => AppError | undefined;

type HostConfig = Pick<HttpConfig, 'host' | 'apiToken' | 'allowedHosts'>;

/** `Host` headers that were allowed and are known by heart: clients send one and the same again and again. */
const MAX_KNOWN = 100;

/**
 * Checks what a request is for: a page of a foreign name that its owner lets resolve to this machine (DNS rebinding) is,
 * for a browser, of the same origin as the service, but still asks for its own name. Where no token protects the service,
 * or `ALLOWED_HOSTS` is set, these hosts are allowed, with any port: `localhost` and names below it, which no DNS server
 * has a say in; addresses, of the loopback where only that is listened on, else all, because nothing resolves them;
 * `HOST`, and `ALLOWED_HOSTS`. Any other is 421 (RFC 9110, section 15.5.20). HTTP/1.0 may name none. Everywhere, a
 * missing, repeated or broken `Host` is 400 (RFC 9112, section 3.2). `X-Forwarded-Host` does not count: a page may send it.
 */
export function checkHosts(config: HostConfig): HostCheck {
  const isAllowed = hostRule(config);
  const known = new Set<string>();
  return (request) => {
    const { headers, httpVersion, rawHeaders } = request;
    if (headers.host === undefined) {
      if (httpVersion !== '1.0') return new AppError('malformed', 'The request has no Host header.');
    } else if (isRepeated(rawHeaders)) {
      return new AppError('malformed', 'The request has more than one Host header.');
    }
    const authority = authorityOfTarget(request) ?? headers.host;
    if (authority === undefined || known.has(authority)) return undefined;
    const host = authority === '' ? '' : hostName(authority);
    if (host === undefined) return new AppError('malformed', 'The host that the request is for is no name or address.');
    if (!isAllowed(host)) return misdirected(host, config);
    if (known.size >= MAX_KNOWN) known.clear();
    known.add(authority);
    return undefined;
  };
}

function hostRule({ host, apiToken, allowedHosts }: HostConfig): (host: string) => boolean {
  if (allowedHosts.includes('*') || (apiToken !== undefined && allowedHosts.length === 0)) return () => true;
  const own = hostName(host) ?? host;
  const names = new Set([own, ...allowedHosts.map((name) => name.replace(/^\./, ''))]);
  const suffixes = ['.localhost', ...allowedHosts.filter((name) => name.startsWith('.'))];
  const anyAddress = !isLoopback(own);
  return (asked) =>
    isLoopback(asked) ||
    names.has(asked) ||
    (anyAddress && isIP(asked) !== 0) ||
    suffixes.some((suffix) => asked.endsWith(suffix));
}

function misdirected(host: string, { apiToken }: HostConfig): AppError {
  const named = host === '' ? 'a request that names no host' : `the host ${shorten(host)}`;
  const remedy = `add it to ALLOWED_HOSTS${apiToken === undefined ? ', or set API_TOKEN' : ''}`;
  return new AppError('misdirected', `This service does not answer for ${named}: ${remedy}.`);
}

// Node keeps the first one and drops the others.
function isRepeated(rawHeaders: string[]): boolean {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name === 'Host' || (name?.length === 4 && name.toLowerCase() === 'host')) count++;
  }
  return count > 1;
}
