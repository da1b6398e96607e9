import fc from 'fast-check';
import { CSV_COLUMNS, readCsvRecord, writeCsvRecord, type CsvCell } from './event-csv';
import { RecordFraming } from './event-import-framing';

/** Texts of what CSV and spreadsheets treat specially, mixed with any others. */
const cell: fc.Arbitrary<CsvCell> = fc.option(
  fc.oneof(
    fc.string({ unit: fc.constantFrom(...`"',;=+-@\t\r\n #x`) }),
    fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
  ),
);

/** The records of a file that arrives in chunks of so many bytes. */
function readFile(file: string, chunkBytes: number): (CsvCell[] | undefined)[] {
  const bytes = Buffer.from(file);
  const framing = new RecordFraming();
  const pieces = [];
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    pieces.push(...framing.push(bytes.subarray(start, start + chunkBytes)));
  }
  pieces.push(...framing.end());
  return pieces.map((piece) => readCsvRecord(piece.bytes?.toString() ?? ''));
}

describe('CSV', () => {
  it('reads back what it wrote, wherever a chunk ends', () => {
    const records = fc.array(fc.array(cell, { minLength: 2, maxLength: 5 }), { maxLength: 5 });
    fc.assert(
      fc.property(records, fc.integer({ min: 1, max: 50 }), (given, chunkBytes) => {
        expect(readFile(given.map(writeCsvRecord).join(''), chunkBytes)).toEqual(given);
      }),
      { numRuns: 2000 },
    );
  });

  it('writes no cell that a spreadsheet takes for a formula', () => {
    fc.assert(
      fc.property(cell, (value) => {
        const written = writeCsvRecord([value]).slice(0, -2);
        expect(written.replace(/^"/, '')).not.toMatch(/^[=+\-@\t\r]/);
      }),
      { numRuns: 2000 },
    );
  });

  it.each<[CsvCell[], string]>([
    [['a', 'b'], 'a,b\r\n'],
    [[null, ''], ',""\r\n'],
    [['a"b', 'a,b'], '"a""b","a,b"\r\n'],
    [['a\nb', 'a\rb', 'a\r\nb'], '"a\nb","a\rb","a\r\nb"\r\n'],
    [['=1', '+1', '-1', '@a', '\ta', "'a"], `'=1,'+1,'-1,'@a,'\ta,''a\r\n`],
    [['1=', ' =1', ''], '1=, =1,""\r\n'],
    [[...CSV_COLUMNS], 'id,event_type,severity,message,details,source,timestamp,created_at,updated_at\r\n'],
  ])('writes %j', (cells, record) => {
    expect(writeCsvRecord(cells)).toBe(record);
  });

  it.each<[string, CsvCell[] | undefined]>([
    ['', [null]],
    [',', [null, null]],
    ['"",', ['', null]],
    ['"a"', ['a']],
    [`'a,"'a",''a,'`, ['a', 'a', `'a`, '']],
    ['a"b', undefined],
    ['"a', undefined],
    ['"a"b', undefined],
    ['"a" ,b', undefined],
    ['"a""', undefined],
    ['""a""', undefined],
    ['a,"', undefined],
  ])('reads %j', (record, cells) => {
    expect(readCsvRecord(record)).toEqual(cells);
  });

  it.each([
    ['a,b\nc,d\n', 2],
    ['a,b\r\nc,d', 2],
    ['\r\n\na,b\n\r\n\nc,d\r\n\r\n', 2],
    ['"a\nb",c\nd,"e\r\n\r\nf"\r\n', 2],
    ['a"b\n"c"d\ne,f\n', 3],
    ['', 0],
  ])('cuts %j', (file, count) => {
    for (const chunkBytes of [1, 2, 3, 100]) expect(readFile(file, chunkBytes)).toHaveLength(count);
  });
});
