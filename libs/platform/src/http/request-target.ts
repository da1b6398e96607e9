import type { IncomingMessage } from 'node:http';
import type { AppError } from './app-error';

declare module 'node:http' {
  interface IncomingMessage {
    /** The request target as it came; `url` is the path in it. */
    originalUrl?: string;
    /** What it is refused for already, before any hook has seen it. */
    refusal?: AppError;
  }
}

/** A path that no route has. */
const UNKNOWN_PATH = '/%25';

/** A target in absolute form (RFC 9112, section 3.2.2) up to its path; the authority is the group. */
const ABSOLUTE = /^https?:\/\/(?:[^/?#@]*@)?([^/?#]*)/i;

/**
 * The path and query of a request's target. Without it the router would take `*api/events` for a path, and hooks and
 * logs a host for a part of one.
 */
export function pathOfTarget({ url = '', refusal }: IncomingMessage): string {
  if (refusal) return UNKNOWN_PATH;
  if (url.startsWith('/')) return url;
  const [start] = ABSOLUTE.exec(url) ?? [];
  if (start === undefined) return UNKNOWN_PATH;
  const path = url.slice(start.length);
  return path.startsWith('/') ? path : `/${path}`;
}

/** The authority that a request's target names, where it names one: it counts, and the `Host` header does not. */
export function authorityOfTarget({ originalUrl, url }: IncomingMessage): string | undefined {
  const target = originalUrl ?? url ?? '';
  return target.startsWith('/') ? undefined : ABSOLUTE.exec(target)?.[1];
}
