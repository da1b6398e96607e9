import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import {
  ArrayFraming,
  LineFraming,
  MAX_EVENT_BYTES,
  RecordFraming,
  type Framing,
  type Piece,
} from './event-import-framing';

/** The pieces of a file that arrives in chunks of so many bytes. */
function cut(framing: Framing, file: string, chunkBytes = 64): Piece[] {
  const bytes = Buffer.from(file);
  const pieces: Piece[] = [];
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    pieces.push(...framing.push(bytes.subarray(start, start + chunkBytes)));
  }
  return [...pieces, ...framing.end()];
}

const valuesOf = (pieces: Piece[]): unknown[] => pieces.map(({ bytes }) => JSON.parse(String(bytes)) as unknown);

const value = fc.jsonValue({ stringUnit: fc.constantFrom(...'{}[],:"\\\n ü\u{1F600}') });
const chunkBytes = fc.integer({ min: 1, max: 40 });

describe('a JSON array', () => {
  it('is cut into its elements, wherever a chunk ends', () => {
    fc.assert(
      fc.property(fc.array(value), fc.constantFrom(0, 1, '\r\n\t'), chunkBytes, (array, space, size) => {
        const file = JSON.stringify(array, null, space);
        const pieces = cut(new ArrayFraming(), file, size);
        expect(valuesOf(pieces)).toEqual(JSON.parse(JSON.stringify(array)));
      }),
      { numRuns: 2000 },
    );
  });

  it('tells on which line an element starts', () => {
    const lines = cut(new ArrayFraming(), '\uFEFF[\n1, 2,\n\n{\n"a": [\n]\n}\n,\n3]\n').map(({ line }) => line);
    expect(lines).toEqual([2, 2, 4, 9]);
  });

  it.each([
    ['', 'the array has no end in line 1'],
    ['  \n', 'the array has no end in line 2'],
    ['{}', 'there is no JSON array in line 1'],
    ['null', 'there is no JSON array in line 1'],
    ['[', 'the array has no end in line 1'],
    ['[1', 'the array has no end in line 1'],
    ['[1,', 'the array has no end in line 1'],
    ['[{"a":1}\n', 'the array has no end in line 2'],
    ['["]', 'the array has no end in line 1'],
    ['["\\"]', 'the array has no end in line 1'],
    ['[,1]', 'an element of the array is missing in line 1'],
    ['[1,\n,2]', 'an element of the array is missing in line 2'],
    ['[1,]', 'an element of the array is missing in line 1'],
    ['[1]]', 'something follows the array in line 1'],
    ['[1]\n{}', 'something follows the array in line 2'],
  ])('that is broken has an end: %j', (file, problem) => {
    for (const size of [1, 64]) {
      expect(() => cut(new ArrayFraming(), file, size)).toThrow(`The file is broken: ${problem}.`);
    }
  });

  it.each([
    ['[{"a":1]},{}]', ['{"a":1]}', '{}']],
    ['[}, 1]', ['}', '1']],
    ['[1 2, 3]', ['1 2', '3']],
    ['["a""b"]', ['"a""b"']],
  ])('goes on behind an element that is broken: %j', (file, elements) => {
    expect(cut(new ArrayFraming(), file).map(({ bytes }) => String(bytes))).toEqual(elements);
  });
});

describe('NDJSON', () => {
  it('is cut into its lines, wherever a chunk ends', () => {
    fc.assert(
      fc.property(fc.array(value), fc.constantFrom('\n', '\r\n', '\n\n \t\r\n'), chunkBytes, (values, end, size) => {
        const file = values.map((each) => JSON.stringify(each) + end).join('');
        const expected = JSON.parse(JSON.stringify(values)) as unknown[];
        expect(valuesOf(cut(new LineFraming(), file, size))).toEqual(expected);
        expect(valuesOf(cut(new LineFraming(), file.trimEnd(), size))).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('counts blank lines too', () => {
    expect(cut(new LineFraming(), '\n1\n\n2').map(({ line }) => line)).toEqual([2, 4]);
  });
});

describe('an event that is too long', () => {
  const fill = (bytes: number): string => JSON.stringify('x'.repeat(bytes - 2));

  it.each([
    ['NDJSON', () => new LineFraming(), (events: string[]) => events.join('\n')],
    ['JSON', () => new ArrayFraming(), (events: string[]) => `[${events.join(',')}]`],
  ])('is passed over, the next ones are not: %s', (_name, framing, join) => {
    const file = join([fill(MAX_EVENT_BYTES), fill(MAX_EVENT_BYTES + 1), fill(5 * MAX_EVENT_BYTES), '1']);
    const sizes = cut(framing(), file, 65_536).map(({ bytes }) => bytes?.length);
    expect(sizes).toEqual([MAX_EVENT_BYTES, undefined, undefined, 1]);
  });
});

describe('an event that comes byte by byte', () => {
  const BYTES = 10_000;

  it.each([
    ['NDJSON', () => new LineFraming()],
    ['JSON', () => new ArrayFraming()],
    ['CSV', () => new RecordFraming()],
  ])('is kept without the memory that each byte came in: %s', async (_name, framing) => {
    const pieces = framing();
    const memories: WeakRef<ArrayBufferLike>[] = [];
    for (const byte of `["${'x'.repeat(BYTES)}`) {
      // As Node's server makes it, with memory of its own.
      const part = Buffer.allocUnsafeSlow(1).fill(byte);
      memories.push(new WeakRef(part.buffer));
      expect([...pieces.push(part)]).toEqual([]);
    }
    // What a WeakRef was made of, or asked for, stays until the end of the turn.
    await nextTurn();
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    expect(memories.filter((memory) => memory.deref() !== undefined).length).toBeLessThan(BYTES / 100);
    expect([...pieces.push(Buffer.from('"'))]).toEqual([]);
  });
});
