import * as fc from 'fast-check';
import { AppError } from '@app/platform';
import { readBatch, type BatchItem } from './event-batch-reader';

const MEBIBYTE = 1024 * 1024;

/** More than a small array has. */
const LARGE = 256 * 1024 + 1;

const EVENT = '{"event_type":"a","severity":"info","message":"m"}';

type Type = 'application/json' | 'application/x-ndjson';

function read(bytes: Buffer, type: Type = 'application/json'): BatchItem[] {
  return [...readBatch({ type, bytes, memory: null })];
}

/** What becomes of a batch, in a form that can be compared. */
function outcomeOf(bytes: Buffer): unknown {
  try {
    return read(bytes).map((item) => (item instanceof AppError ? [item.kind, item.message, item.errors] : { ...item }));
  } catch (error) {
    if (error instanceof AppError) return `${error.kind}: ${error.message}`;
    throw error;
  }
}

/** An array that is read event by event. */
const outcomeOfLarge = (bytes: Buffer): unknown => outcomeOf(Buffer.concat([bytes, Buffer.alloc(LARGE, ' ')]));

describe('a large JSON array', () => {
  it.each([
    '[]',
    ' [ ] ',
    `[${EVENT}]`,
    `\n[ ${EVENT} ,\t${EVENT}\r\n]`,
    `\ufeff[${EVENT}]`,
    `[1,"a]\\"[,",[[",{}"],{"]":[1]}],null,${EVENT}]`,
    '["\\ud800","\\\\",{"details":1e-400}]',
  ])('is read as a small one is: %s', (text) => {
    const bytes = Buffer.from(text);
    expect(outcomeOf(bytes)).toBeInstanceOf(Array);
    expect(outcomeOfLarge(bytes)).toEqual(outcomeOf(bytes));
  });

  it.each([
    '[',
    '[,]',
    `[${EVENT}`,
    `[${EVENT},`,
    `[${EVENT},]`,
    `[,${EVENT}]`,
    `[${EVENT},,${EVENT}]`,
    `[${EVENT}}`,
    `[${EVENT}]]`,
    `[${EVENT}]${EVENT}`,
    `[${EVENT} ${EVENT}]`,
    `[\ufeff${EVENT}]`,
    `\ufeff\ufeff[${EVENT}]`,
    `[${EVENT},{"a]`,
    '["a\\"]',
    '[{]}]',
    '[[}]',
    '[01]',
  ])('is refused as a small one is: %s', (text) => {
    const bytes = Buffer.from(text);
    expect(outcomeOf(bytes)).toBe('malformed: The request body is not valid JSON.');
    // Of what does not begin like an array no more is read.
    const isArray = text.replace('\ufeff', '').startsWith('[');
    expect(outcomeOfLarge(bytes)).toEqual(isArray ? outcomeOf(bytes) : expect.stringMatching(/^invalid: /));
  });

  it('is refused where any byte is no UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from(`[${EVENT},"`), Buffer.from([0xff]), Buffer.from('"]')]);
    expect(outcomeOf(bytes)).toBe('malformed: The request body is not valid UTF-8.');
    expect(outcomeOfLarge(bytes)).toEqual(outcomeOf(bytes));
  });

  it('is read as a small one is, whatever it holds and wherever it is broken', () => {
    const array = fc
      .array(fc.oneof(fc.constant(JSON.parse(EVENT)), fc.jsonValue()))
      .chain((values) => fc.constantFrom(JSON.stringify(values), JSON.stringify(values, null, ' ')));
    const broken = fc.tuple(array, fc.nat(), fc.constantFrom('', ...'[]{},:"\\ 0x')).map(([text, at, character]) => {
      // The first bracket stays: without it a large body is no array, whatever else it is.
      const place = 1 + (at % text.length);
      return text.slice(0, place) + character + text.slice(place + 1);
    });
    fc.assert(
      fc.property(fc.oneof(array, broken), (text) => {
        expect(outcomeOfLarge(Buffer.from(text))).toEqual(outcomeOf(Buffer.from(text)));
      }),
      { numRuns: 200 },
    );
  });

  it('is parsed event by event', () => {
    const parse = jest.spyOn(JSON, 'parse');
    const bytes = Buffer.from(`[${EVENT},${EVENT}]`.padEnd(LARGE));
    const items = readBatch({ type: 'application/json', bytes, memory: null })[Symbol.iterator]();
    for (const calls of [1, 2]) {
      expect(items.next().done).toBe(false);
      expect(parse.mock.calls).toEqual(Array(calls).fill([EVENT]));
    }
    parse.mockRestore();
  });
});

describe.each<[Type, (events: string[]) => string]>([
  ['application/json', (events) => `[${events.join(',')}]`],
  ['application/x-ndjson', (events) => events.join('\n')],
])('an event in %s', (type, join) => {
  it('has 1 MiB and not a byte more, and is refused alone', () => {
    const sized = (bytes: number): string => `${EVENT.slice(0, -1)}${' '.repeat(bytes - EVENT.length)}}`;
    const items = read(Buffer.from(join([EVENT, sized(MEBIBYTE), sized(MEBIBYTE + 1), EVENT])), type);
    expect(items.map((item) => (item instanceof AppError ? [item.kind, item.message] : item.message))).toEqual([
      'm',
      'm',
      ['payload_too_large', 'The event is larger than 1 MiB.'],
      'm',
    ]);
  });

  it('is one of 10,000 at most', () => {
    for (const size of [0, LARGE]) {
      const text = (count: number): Buffer => Buffer.from(join(Array<string>(count).fill('0')).padEnd(size));
      expect(read(text(10_000), type)).toHaveLength(10_000);
      expect(() => read(text(10_001), type)).toThrow('A batch may have at most 10000 events.');
    }
  });
});
