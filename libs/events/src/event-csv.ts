/** The columns of events in CSV, in the order of an export. */
export const CSV_COLUMNS = [
  'id',
  'event_type',
  'severity',
  'message',
  'details',
  'source',
  'timestamp',
  'created_at',
  'updated_at',
] as const;

/** The value of a cell; `null` stands as an empty cell, the empty text as an empty cell in quotes. */
export type CsvCell = string | null;

/** What a spreadsheet takes for a formula, and what marks such a cell as text (OWASP, CSV Injection). */
const FORMULA = /^[=+\-@\t\r']/;
const TEXT_MARK = `'`;

/**
 * A record of CSV (RFC 4180) with its line break. A text that a spreadsheet would take for a formula gets an apostrophe
 * in front; so does one that starts with an apostrophe, so that `readCsvRecord` can take exactly one away.
 */
export function writeCsvRecord(cells: readonly CsvCell[]): string {
  return `${cells.map(writeCell).join(',')}\r\n`;
}

function writeCell(value: CsvCell): string {
  if (value === null) return '';
  const text = FORMULA.test(value) ? TEXT_MARK + value : value;
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The cells of one record without its line break, as `writeCsvRecord` took them; `undefined` if its quotes are wrong. */
export function readCsvRecord(record: string): CsvCell[] | undefined {
  const cells: CsvCell[] = [];
  for (let start = 0; ;) {
    const isQuoted = record[start] === '"';
    const end = isQuoted ? endOfQuoted(record, start) : endOfPlain(record, start);
    const isWrong = isQuoted ? end < record.length && record[end] !== ',' : record.slice(start, end).includes('"');
    if (end === -1 || isWrong) return undefined;
    const text = isQuoted ? record.slice(start + 1, end - 1).replaceAll('""', '"') : record.slice(start, end);
    cells.push(text === '' && !isQuoted ? null : withoutMark(text));
    if (end === record.length) return cells;
    start = end + 1;
  }
}

function endOfPlain(record: string, start: number): number {
  const comma = record.indexOf(',', start);
  return comma === -1 ? record.length : comma;
}

// Behind the closing quote; a doubled one is a quote of the text.
function endOfQuoted(record: string, start: number): number {
  for (let from = start + 1; ; from += 2) {
    from = record.indexOf('"', from);
    if (from === -1) return -1;
    if (record[from + 1] !== '"') return from + 1;
  }
}

function withoutMark(text: string): string {
  return text.startsWith(TEXT_MARK) ? text.slice(1) : text;
}
