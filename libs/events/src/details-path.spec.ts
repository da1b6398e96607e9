import * as fc from 'fast-check';
import { readPair, readPath } from './details-path';

/** Any key, as it may always be written. */
const quoted = (key: string): string => `"${key.replaceAll('"', '""')}"`;

const keys = fc.array(
  fc.string({ unit: fc.constantFrom(...['"', '.', '=', '[', ']', '\\', ' ', 'a', 'é', '😀']), maxLength: 8 }),
  { minLength: 1, maxLength: 32 },
);

describe('a path into details', () => {
  it.each<[text: string, keys: string[]]>([
    ['http.status', ['http', 'status']],
    ['"service.name"', ['service.name']],
    ['resource."service.name".0', ['resource', 'service.name', '0']],
    ['"a""b"', ['a"b']],
    ['""', ['']],
    ['a."".b', ['a', '', 'b']],
    ['a"b', ['a"b']],
    ['a"b.c"d', ['a"b', 'c"d']],
    ['a\\.b', ['a\\', 'b']],
    ['a=b', ['a=b']],
    ['[]', ['[]']],
  ])('%s names its keys', (text, expected) => {
    expect(readPath(text)).toEqual(expected);
  });

  it.each(['', '.', 'a.', '.a', 'a..b', '"', '"a', '"a"b', 'a."b', '"a""', 'a\0', '"a\0"'])('refuses %j', (text) => {
    expect(readPath(text)).toEqual(expect.stringMatching(/^must /));
  });

  it('may have 32 steps', () => {
    const steps = Array.from({ length: 33 }, () => 'k');
    expect(readPath(steps.slice(1).join('.'))).toEqual(steps.slice(1));
    expect(readPath(steps.join('.'))).toBe('must not go deeper than 32 levels');
  });

  it('names any keys in quotes', () => {
    fc.assert(
      fc.property(keys, fc.string(), (path, value) => {
        const text = path.map(quoted).join('.');
        expect(readPath(text)).toEqual(path);
        expect(readPair(`${text}=${value}`)).toEqual([path, value]);
      }),
    );
  });
});

describe('a path and a value', () => {
  it.each<[text: string, path: string[], value: string]>([
    ['http.status=504', ['http', 'status'], '504'],
    ['a=b=c', ['a'], 'b=c'],
    ['"a=b"=c', ['a=b'], 'c'],
    ['"a.b"."c"=d', ['a.b', 'c'], 'd'],
    ['a=', ['a'], ''],
  ])('%s are read', (text, path, value) => {
    expect(readPair(text)).toEqual([path, value]);
  });

  it.each(['', 'a', '=', '=1', 'a.=1', '.a=1', '"a=1', '"a"', '[object Object]', 'a\0=1'])('refuses %j', (text) => {
    expect(readPair(text)).toEqual(expect.stringMatching(/^must /));
  });
});
