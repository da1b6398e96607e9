import { BlockList, isIP } from 'node:net';

/** `uri-host [ ":" port ]` of RFC 9110, section 7.2. */
const AUTHORITY = /^(?:\[[\da-f:.]+\]|[^\s/?#@\\:[\]]+)(?::\d*)?$/i;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/**
 * The host of an authority (`host`, `host:port`, `[address]:port`) in the one spelling that browsers send: lower case,
 * international names as `xn--…`, no dot at the end, addresses in their usual form (`127.1` is `127.0.0.1`) and without
 * brackets. `undefined` for what is none.
 */
export function hostName(authority: string): string | undefined {
  if (!AUTHORITY.test(authority) || !URL.canParse(`http://${authority}`)) return undefined;
  const { hostname } = new URL(`http://${authority}`);
  return hostname.replace(/^\[(.*)\]$|\.$/, '$1');
}

/** Whether a host, in the spelling of `hostName`, is this machine's own by its form, whatever a resolver says. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  return version === 0 ? host === 'localhost' : LOOPBACK.check(host, version === 4 ? 'ipv4' : 'ipv6');
}
