import * as fc from 'fast-check';

/** Texts that have broken software before. */
const TEXTS = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  'x\udc00x',
  '\udc00\ud800',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'null',
  'undefined',
  'NaN',
  'infinity',
  '-Infinity',
  'true',
  '[object Object]',
  "' OR '1'='1",
  "'; DROP TABLE system_events; --",
  '") OR 1=1 --',
  '$1',
  ':id',
  '%',
  '_%_',
  '\\',
  "\\'",
  '%00',
  '%zz',
  '../../etc/passwd',
  '<script>alert(1)</script>',
  '${7*7}',
  '{{7*7}}',
  '\r\nSet-Cookie: a=b',
  '\u202e\u2066',
  '\ufeff',
  '\ufffe\uffff',
  'e\u0301'.repeat(100),
  'İıſK',
  '😀'.repeat(101),
  '2026-02-30T00:00:00Z',
  '2026-01-31T24:00:00Z',
  '2016-12-31T23:59:60Z',
  '0000-01-01T00:00:00Z',
  '-0001-01-01T00:00:00Z',
  '+275760-09-13T00:00:00Z',
  '9999-12-31T23:59:59.9999999Z',
  '2026-01-31T09:30:00+99:99',
  '2026-01-31 09:30:00',
  '2026-01-31',
  '999999w',
  '9999999s',
  '-1h',
  'now()',
  'Mars/Olympus',
  '../UTC',
  'posixrules',
  'a.b.c',
  'WyItdGltZXN0YW1wIiwiIiwxLDFd',
];

/** Numbers, as they are written in JSON, that no double holds, or only just. */
const NUMBERS = [
  ...['0', '-0', '-1', '1.5', '1e0', '5e-324', '1e-400', '1e400', '-1e400', '1.7976931348623157e308'],
  ...['2147483647', '2147483648', '9007199254740991', '9007199254740992', '9007199254740993'],
  ...['9223372036854775807', '9223372036854775808', '18446744073709551616', '123456789012345678901234567890'],
  ...[`0.${'1'.repeat(400)}`, '9'.repeat(400)],
];

const LONG = [101, 201, 255, 256, 1001, 4000].map((length) => 'x'.repeat(length));

/** Names that reach an object's prototype in code that merges or walks paths. */
export const nastyNames: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...['__proto__', 'constructor', 'prototype', '__proto__.polluted', '__proto__[polluted]', 'toString', 'length'],
    ...['constructor.prototype.polluted', 'details.__proto__.polluted', 'details.constructor.prototype.polluted'],
    ...[
      'details',
      'details.',
      'details..',
      'details.a\0',
      'details[',
      'details["a]',
      'details[__proto__]',
      'details[a][b]',
      'limit[]',
      'limit[a]',
      'Limit',
      '',
      '\0',
      '\ud800',
      '$where',
    ],
    `details.${'a.'.repeat(40)}a`,
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }).map((path) => `details.${path}`),
  fc.string({ unit: 'binary', maxLength: 12 }).map((path) => `details[${path}]`),
);

/** A text where another one is expected. */
export const nastyTexts: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...TEXTS) },
  { weight: 2, arbitrary: fc.constantFrom(...NUMBERS) },
  { weight: 1, arbitrary: fc.constantFrom(...LONG) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
);

const nested = (open: string, close: string, levels: number): string =>
  `${open.repeat(levels)}1${close.repeat(levels)}`;

const POLLUTION = [
  '{"__proto__":{"polluted":true}}',
  '{"\\u005f_proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"a":[{"__proto__":{"polluted":true}}]}',
  '{"__proto__":null}',
];

/** A value of JSON, as text that no serializer would write included, where another one is expected. */
export const nastyJson: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: nastyTexts.map((text) => JSON.stringify(text)) },
  { weight: 3, arbitrary: fc.constantFrom(...NUMBERS) },
  { weight: 2, arbitrary: fc.constantFrom('null', 'true', 'false', '[]', '{}', '[[]]', '""', '[null]', '{"a":1}') },
  { weight: 2, arbitrary: fc.constantFrom(...POLLUTION) },
  { weight: 2, arbitrary: fc.constantFrom('{"a":1,"a":2}', '{"":0}', '{"a\\u0000":1}', '{"\\ud800":1}') },
  { weight: 1, arbitrary: fc.constantFrom('NaN', '-Infinity', '01', '1.', "'x'", '"\n"', '"\\x"', 'undefined', '{]') },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom<[string, string]>(['[', ']'], ['{"a":', '}']), fc.constantFrom(31, 32, 33, 64, 65, 2000))
      .map(([[open, close], levels]) => nested(open, close, levels)),
  },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3, stringUnit: 'binary' }).map((value) => JSON.stringify(value)) },
);

/** Whole bodies that are no event, and mostly nothing at all. */
export const nastyBodies: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 6, arbitrary: nastyJson.map((text) => Buffer.from(text)) },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom(
        '',
        ' \n\t',
        '{',
        '[{}',
        '{} {}',
        '[,]',
        '\ufeff',
        '\ufeff{}',
        'a=b&c=d',
        ',,,',
        '"',
        '"a""b"',
        '\n\n',
      )
      .map((text) => Buffer.from(text)),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom([0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0], [0x1f, 0x8b])
      .map((bytes) => Buffer.from(bytes)),
  },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 60 }) },
);

/** Bodies that are much larger than they have a right to be: rare, because they cost much. */
export const hugeBodies: fc.Arbitrary<Uint8Array> = fc.constantFrom(
  Buffer.from(nested('[', ']', 100_000)),
  Buffer.from(nested('{"a":', '}', 100_000)),
  Buffer.alloc(1024 * 1024 + 1, ' '),
  Buffer.from(`{"message":"${'x'.repeat(65_537)}","event_type":"a","severity":"info"}`),
  Buffer.from(`{${Array.from({ length: 5000 }, (_, index) => `"f${index}":${index}`).join()}}`),
);

/** Header fields that a client may send with any request. */
export const nastyHeaders: fc.Arbitrary<[name: string, value: string]> = fc.oneof(
  fc.tuple(
    fc.constantFrom(
      ...['Accept', 'Accept-Encoding', 'Accept-Language', 'Authorization', 'Cookie', 'Origin', 'Referer', 'User-Agent'],
      ...['X-Request-Id', 'X-Forwarded-For', 'X-HTTP-Method-Override', 'Range', 'If-Modified-Since', 'Forwarded'],
      ...['If-Match', 'If-None-Match', 'Idempotency-Key', 'Content-Type', '__proto__', 'constructor'],
    ),
    nastyTexts.map(toHeaderValue),
  ),
  fc.constantFrom<[string, string]>(
    ['Accept', 'image/png'],
    ['Accept-Encoding', 'identity;q=0, *;q=0'],
    ['Accept-Encoding', 'compress'],
    ['Accept-Encoding', 'br, gzip, deflate'],
    ['Connection', 'Upgrade'],
    ['Range', 'bytes=0-0'],
    ['If-Match', '*'],
    ['If-None-Match', '*'],
    ['If-None-Match', 'W/"1-1", "'],
    ['Idempotency-Key', 'again'],
    ['Origin', 'https://deck.example'],
    ['X-HTTP-Method-Override', 'DELETE'],
  ),
);

// What Node's client would not send: the raw bytes of UTF-8 are sent instead of characters, and no control characters.
function toHeaderValue(text: string): string {
  return Buffer.from(text.replace(/[^\x20-\x7e\xa0-\uffff]/g, ' '))
    .toString('latin1')
    .slice(0, 2000);
}
