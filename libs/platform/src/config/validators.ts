import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { makeValidator } from 'envalid';
import { hostName } from './host-name';

/** An integer in decimal digits. */
export const integer = (min: number, max: number): ReturnType<typeof makeValidator<number>> =>
  makeValidator<number>((input) => {
    const value = /^\d+$/.test(input) ? Number(input) : NaN;
    if (!(value >= min && value <= max)) throw new TypeError(`must be an integer from ${min} to ${max}`);
    return value;
  });

/** A URL of one of the schemes. */
export const url = (...schemes: string[]): ReturnType<typeof makeValidator<string>> =>
  makeValidator<string>((input) => {
    const starts = schemes.map((scheme) => `${scheme}://`);
    if (!starts.some((start) => input.startsWith(start)) || !URL.canParse(input)) {
      throw new TypeError(`must be a URL that starts with ${starts.join(' or ')}`);
    }
    return input;
  });

/** A name of a service: an event's `source` is as long at most. */
export const name = makeValidator<string>((input) => {
  if ([...input].length > 200) throw new TypeError('must have at most 200 characters');
  return input;
});

/** What an `Authorization` header can carry. */
export const token = makeValidator<string>((input) => {
  if (!/^[\x21-\x7e]+$/.test(input)) throw new TypeError('must be of visible ASCII characters, without spaces');
  return input;
});

/** Hosts, separated by commas, as `hostName` spells them; `.name` stands for a name and all below it, `*` for all. */
export const hosts = makeValidator<string[]>((input) =>
  itemsOf(input).map((item) => {
    const name = item === '*' ? item : allowedHost(item);
    if (name === undefined) {
      throw new TypeError('must be * or a list of names such as deck.example.org or .example.org, without a port');
    }
    return name;
  }),
);

function allowedHost(item: string): string | undefined {
  if (isIP(item) === 6) return hostName(`[${item}]`);
  const [, dot = '', host = ''] = /^(\.?)([^:]+|\[[^\]]+\])$/.exec(item) ?? [];
  const name = hostName(host);
  if (name === undefined) return undefined;
  const isUsable = isIP(name) === 0 ? /^[\w.-]+$/.test(name) : dot === '';
  return isUsable ? dot + name : undefined;
}

function itemsOf(list: string): string[] {
  return list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** Origins, separated by commas, or `*`. */
export const origins = makeValidator<string[]>((input) => {
  const items = itemsOf(input);
  if (!items.every((item) => item === '*' || isOrigin(item))) {
    throw new TypeError('must be * or a list of origins such as https://deck.example.org');
  }
  return items;
});

// As a browser sends it: another spelling would never match.
function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, host } = new URL(text);
  return text === `${protocol}//${host}`;
}

/** The content of a file whose path the variable holds. */
export const file = makeValidator<string>((path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new TypeError('must name a file that can be read');
  }
});

/** Fastify's `trustProxy`, but no number of hops: whoever connects directly could then name any address. */
export const trustProxy = makeValidator<boolean | string[]>((input) => {
  if (input === 'true' || input === 'false') return input === 'true';
  const ranges = input.split(',').map((range) => range.trim());
  if (!ranges.every((range) => /^(loopback|linklocal|uniquelocal)$/.test(range) || isRange(range))) {
    throw new TypeError('must be true, false, or a list of addresses and CIDR ranges');
  }
  return ranges;
});

function isRange(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return (
    bits > 0 && rest.length === 0 && (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  );
}
