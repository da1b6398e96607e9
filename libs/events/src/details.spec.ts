import { checkDetails } from './details';

const TOO_LARGE = 'must not be larger than 256 KiB as JSON';

/** Details of so many bytes, full of the smallest values that there are. */
function objects(bytes: number): object {
  const room = bytes - '{"a":[],"b":""}'.length;
  const count = Math.floor((room + 1) / 3);
  return { a: Array.from({ length: count }, () => ({})), b: 'x'.repeat(room - (3 * count - 1)) };
}

describe('checkDetails', () => {
  afterEach(() => jest.restoreAllMocks());

  it('measures the text as it is read back', () => {
    expect(checkDetails(objects(256 * 1024))).toBeUndefined();
    expect(checkDetails(objects(256 * 1024 + 1))).toBe(TOO_LARGE);
  });

  it('measures small numbers written out, wherever they stand', () => {
    const room = 256 * 1024 - '{"a":[],"b":{"c":1e-300}}'.length;
    // 1e-300 stands for 300 digits and 17 at most, in quotes.
    const fill = (bytes: number): object => ({ a: ['x'.repeat(bytes)], b: { c: 1e-300 } });
    expect(checkDetails(fill(room - 2 - 313))).toBeUndefined();
    expect(checkDetails(fill(room - 2 - 312))).toBe(TOO_LARGE);
    // A text that looks like one has its own length.
    expect(checkDetails({ a: '1e-300', b: 'x'.repeat(256 * 1024 - '{"a":"1e-300","b":""}'.length) })).toBeUndefined();
  });

  it('writes large details once, and never by a function for each value', () => {
    const stringify = jest.spyOn(JSON, 'stringify');
    for (const value of [objects(256 * 1024), { a: ['1e-300', 1e-300], b: objects(128 * 1024) }]) {
      stringify.mockClear();
      expect(checkDetails(value)).toBeUndefined();
      expect(stringify.mock.calls).toEqual([[value]]);
    }
  });
});
