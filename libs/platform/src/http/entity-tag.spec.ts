import { isNotModified, parseEntityTags, preconditionHolds } from './entity-tag';

describe('entity tags', () => {
  it.each([
    ['*', '*'],
    [' * ', '*'],
    ['"a"', [{ weak: false, value: 'a' }]],
    ['W/"a"', [{ weak: true, value: 'a' }]],
    ['""', [{ weak: false, value: '' }]],
    [
      '"a,b" , W/"c"',
      [
        { weak: false, value: 'a,b' },
        { weak: true, value: 'c' },
      ],
    ],
    ['"*"', [{ weak: false, value: '*' }]],
    ['a', []],
    ['"', []],
    ['"a b"', []],
    ['', []],
  ])('reads %s', (header, expected) => {
    expect(parseEntityTags(header)).toEqual(expected);
  });

  // RFC 9110, section 8.8.3.2: If-None-Match compares weakly, If-Match strongly.
  it.each([
    [undefined, false, true],
    ['*', true, true],
    ['"1-1"', true, true],
    ['W/"1-1"', true, false],
    ['W/"1-1", "1-1"', true, true],
    ['"1-2"', false, false],
    ['"1-11"', false, false],
    ['1-1', false, false],
  ])('compares %s with "1-1": not modified %s, precondition holds %s', (header, notModified, holds) => {
    expect(isNotModified(header, '"1-1"')).toBe(notModified);
    expect(preconditionHolds(header, '"1-1"')).toBe(holds);
    expect(isNotModified(header, 'W/"1-1"')).toBe(notModified);
  });

  it('a weak tag of its own fulfils no If-Match', () => {
    expect(preconditionHolds('W/"1-1", "1-1"', 'W/"1-1"')).toBe(false);
  });
});
