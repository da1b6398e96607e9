import { AppError, type ErrorKind } from './app-error';
import { costOfValues, escapePointer, parseJsonBody, shorten, VALUE_BYTES } from './json-body';

const parse = (text: string): unknown => parseJsonBody(Buffer.from(text));

function failure(text: string): AppError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error(`accepted ${text}`);
}

describe('parseJsonBody', () => {
  it.each([
    '{}',
    '[]',
    'null',
    'true',
    '"text"',
    '0.1',
    '9007199254740991',
    '-9007199254740991',
    '5e-324',
    '4503599627370496.5',
    '2.5e-324',
    '[0e-400,0.0E-999,-0,0.000]',
    '0.' + '0'.repeat(323) + '5',
    '["1e-400",{"1e-400":"\\"1e-400"}]',
    // Rounded to the nearest double, as every digit beyond it is.
    '4503599627370497.75',
    '0.1234567890123456789',
    '{"":{"prototype":1,"proto":2,"Constructor":3}}',
    '"\\ud83d\\ude00"',
    '['.repeat(64) + ']'.repeat(64),
  ])('reads %s', (text) => {
    expect(parse(text)).toEqual(JSON.parse(text));
  });

  // To look for a text from each of its quotes anew took minutes for a body of 1 MiB, in one turn of the event loop.
  it('looks for no numbers in a text without an end', () => {
    const text = '[1e-1,"' + '\\"1e-400'.repeat(3);
    const parseText = jest.spyOn(JSON, 'parse');

    expect(failure(text).kind).toBe('malformed');

    expect(parseText).toHaveBeenCalledWith(text);
    parseText.mockRestore();
  });

  it.each<[ErrorKind, string]>([
    ['malformed', ''],
    ['malformed', ' '],
    ['malformed', '{'],
    ['malformed', '{"a":"\\ud800"}'],
    ['malformed', '{"\\udc00":1}'],
    ['malformed', '"\\udc00\\ud800"'],
    ['invalid', '"\\u0000"'],
    ['invalid', '{"\\u0000":1}'],
    ['invalid', '9007199254740992'],
    ['invalid', '9007199254740993'],
    ['invalid', '-9007199254740992'],
    ['invalid', '1e400'],
    ['invalid', '1e-400'],
    ['invalid', '-1E-400'],
    ['invalid', '2.4e-324'],
    ['invalid', '0.' + '0'.repeat(324) + '2'],
    ['invalid', '0.' + '0'.repeat(200) + '1e-200'],
    ['malformed', '1e-400e1'],
    ['malformed', '01e-400'],
    ['malformed', '1.e-400'],
    ['malformed', '[1e-400'],
    ['malformed', '"1e-400'],
    ['invalid', '{"__proto__":1}'],
    ['invalid', '[[{"constructor":1}]]'],
    ['invalid', '['.repeat(65) + ']'.repeat(65)],
  ])('is %s: %s', (kind, text) => {
    expect(failure(text).kind).toBe(kind);
  });

  it.each([
    ['1e400', ['#']],
    ['{"a":[1e-400,"\\"",2e-400],"b":"1e-400"}', ['#/a/0', '#/a/2']],
    ['[1,"\\u0000",{"a/b":{"~":[1e400]}}]', ['#/1', '#/2/a~1b/~0/0']],
    ['{"a":1e400,"b c":"\\u0000","ü":1e400}', ['#/a', '#/b%20c', '#/%C3%BC']],
    ['{"a":{"__proto__":{},"b\\u0000":1,"c":1e400}}', ['#/a', '#/a', '#/a/c']],
  ])('points into %s', (text, pointers) => {
    const places = failure(text).errors?.map((error) => ('pointer' in error ? error.pointer : error.parameter));
    expect(places?.sort()).toEqual([...pointers].sort());
  });

  it.each([
    ['values', `[${'1e400,'.repeat(50_000)}1]`],
    ['keys', `{${Array.from({ length: 50_000 }, (_, index) => `"${index}\\u0000":1`).join(',')}}`],
    ['levels', `{"a":${'['.repeat(500_000)}${']'.repeat(500_000)}}`],
  ])('lists no more than twenty of many bad %s', (_name, text) => {
    expect(failure(text).errors?.length).toBeLessThanOrEqual(20);
  });

  it('takes the last of several values of one name, and no sign of zero', () => {
    expect(JSON.stringify(parse('{"severity":"info","n":-0,"severity":"error"}'))).toBe('{"severity":"error","n":0}');
  });

  it('does not repeat what it cannot read', () => {
    expect(failure('{"password": s3cret}').message).not.toContain('s3cret');
  });

  it('leaves the prototype of objects alone', () => {
    expect(failure('{"__proto__":{"x":1}}').kind).toBe('invalid');
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });
});

it.each([
  ['plain', 'plain'],
  ['a/b', 'a~1b'],
  ['a~b', 'a~0b'],
  ['~1', '~01'],
  ['a b"é', 'a%20b%22%C3%A9'],
])('escapes the pointer step %s as %s', (step, expected) => {
  expect(escapePointer(step)).toBe(expected);
});

it('cuts a name too long to be meant, between characters', () => {
  expect(shorten('x'.repeat(100))).toBe('x'.repeat(100));
  expect(shorten('x'.repeat(101))).toBe(`${'x'.repeat(100)}…`);
  expect(shorten('😀'.repeat(100))).toBe('😀'.repeat(100));
  expect(shorten('😀'.repeat(1_000_000))).toBe(`${'😀'.repeat(100)}…`);
  expect(escapePointer('y'.repeat(1_000_000))).toBe(`${'y'.repeat(100)}${encodeURIComponent('…')}`);
});

it.each([
  ['', 0],
  ['{}', 0],
  ['[]', 0],
  ['[{},[],{}]', 3],
  ['{"a":1,"b":[2,[3]]}', 5],
  // Those in texts too.
  ['"a,b[c"', 2],
])('counts the values in %s, but for the outermost one: %i', (text, values) => {
  expect(costOfValues(Buffer.from(text))).toBe(values * VALUE_BYTES);
});
