import type { IncomingMessage, ServerResponse } from 'node:http';
import helmet from 'helmet';

/**
 * What the pages at `/docs` and `/redoc` need and no more: both style themselves inline, draw images from data URLs,
 * and ReDoc searches in a worker made from a blob. `upgrade-insecure-requests` is left out: it breaks plain HTTP.
 */
const CONTENT_SECURITY_POLICY = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'data:'],
  'font-src': ["'self'"],
  'connect-src': ["'self'"],
  'worker-src': ['blob:'],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
};

/** The security headers of every answer, whatever its status: helmet's, made once, because they are always the same. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = makeHeaders();

/**
 * Those of an answer that leaves over TLS, at a proxy. Over plain HTTP a browser takes no notice of this one, and RFC
 * 6797, section 7.2, forbids it; a year, and for this host only: others below it may belong to somebody else.
 */
export const TLS_SECURITY_HEADERS: Readonly<Record<string, string>> = {
  ...SECURITY_HEADERS,
  'strict-transport-security': 'max-age=31536000',
};

function makeHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  const response = {
    setHeader: (name: string, value: string) => (headers[name.toLowerCase()] = value),
    removeHeader: () => undefined,
  };
  const setHeaders = helmet({
    contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY_POLICY },
    strictTransportSecurity: false,
  });
  setHeaders({} as IncomingMessage, response as unknown as ServerResponse, () => undefined);
  return headers;
}
