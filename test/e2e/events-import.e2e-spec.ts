import { countEvents, EVENT, expectInvalid, expectProblem, startEmptyApp } from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';
import { MEDIA_TYPES, upload, type Format, type ImportBody } from '../support/transfer';

const MAX_EVENT_BYTES = 1024 * 1024;
const FORMATS = ['ndjson', 'json', 'csv'] as const;

type Fields = Record<string, unknown>;

function csvCell(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return `"${text.replaceAll('"', '""')}"`;
}

/** Events as a file of a format, written by nothing of the application's own. */
function toFile(format: Format, events: Fields[]): string {
  if (format === 'json') return JSON.stringify(events);
  if (format === 'ndjson') return events.map((event) => `${JSON.stringify(event)}\n`).join('');
  const columns = [...new Set([...Object.keys(EVENT), ...events.flatMap((event) => Object.keys(event))])];
  return [columns, ...events.map((event) => columns.map((column) => event[column]))]
    .map((cells) => `${cells.map(csvCell).join(',')}\n`)
    .join('');
}

describe('POST /api/events/import', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  beforeEach(() => api.sql('TRUNCATE system_events'));

  afterAll(() => api.close());

  /** An import that answers 200. */
  async function take(format: Format, body: string | Uint8Array<ArrayBuffer>): Promise<ImportBody> {
    const answer = await upload(api, format, body);
    expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
    expect(await countEvents(api)).toBe(answer.body.imported);
    return answer.body;
  }

  /** An import that is broken off; how many events it says that it stored is right. */
  async function refuse(format: Format, body: string | Uint8Array<ArrayBuffer>, imported: number): Promise<string> {
    const { detail } = expectProblem(await upload(api, format, body), 400);
    expect(detail).toContain(` ${imported} events were imported and `);
    expect(await countEvents(api)).toBe(imported);
    return detail;
  }

  const stored = (columns: string): Promise<Fields[]> => api.sql(`SELECT ${columns} FROM system_events ORDER BY id`);

  describe.each(FORMATS)('%s', (format) => {
    it('stores what an event may have', async () => {
      const events = [
        { ...EVENT, source: 'api', details: { a: [1, null, { b: 'x' }] }, timestamp: '2026-01-31T10:30:00.123+01:00' },
        { ...EVENT, severity: 'critical' },
      ];
      expect(await take(format, toFile(format, events))).toEqual({ imported: 2, rejected: 0, errors: [] });
      const [full, least] = await stored('*');
      expect(full).toMatchObject({ source: 'api', details: { a: [1, null, { b: 'x' }] } });
      expect(full?.timestamp).toEqual(new Date('2026-01-31T09:30:00.123Z'));
      expect(least).toMatchObject({ ...EVENT, severity: 'critical', details: null, source: null });
      expect(Date.now() - (least?.timestamp as Date).getTime()).toBeLessThan(60_000);
    });

    it('ignores what the service assigns', async () => {
      const event = { ...EVENT, id: 999_999, created_at: '1999-01-01T00:00:00Z', updated_at: 'never' };
      expect(await take(format, toFile(format, [event]))).toMatchObject({ imported: 1 });
      const [row] = await stored('id::int, created_at, version');
      expect(row?.id).not.toBe(999_999);
      expect((row?.created_at as Date).getFullYear()).toBeGreaterThan(2000);
      expect(row?.version).toBe('1');
    });

    it('rejects one by one, with the rules of a POST', async () => {
      const wrong: [fields: Fields, status: number, detail: string, pointer?: string][] = [
        [{ severity: 'loud' }, 422, 'severity must be one of info, warning, error, critical', '#/severity'],
        [{ message: '' }, 422, 'message must not be empty', '#/message'],
        [{ message: 'a\0b' }, 422, 'must not contain the NUL character', '#/message'],
        [{ event_type: 'x'.repeat(101) }, 422, 'event_type must have at most 100 characters', '#/event_type'],
        [{ source: 'x'.repeat(201) }, 422, 'source must have at most 200 characters', '#/source'],
        [{ timestamp: '2026-02-30T00:00:00Z' }, 422, 'timestamp must be a time with a zone', '#/timestamp'],
        [{ timestamp: '1969-12-31T23:59:59Z' }, 422, 'timestamp must lie between 1970', '#/timestamp'],
        [{ details: [1] }, 422, 'details must be an object or null', '#/details'],
        [{ details: { n: 2 ** 53 } }, 422, 'an integer must lie between', '#/details/n'],
        [{ severity: 'loud', message: '' }, 422, 'severity must be one of info, warning, error, critical (and 1 more)'],
      ];
      const events = wrong.flatMap(([fields]): Fields[] => [EVENT, { ...EVENT, ...fields }]);
      const { imported, rejected, errors } = await take(format, toFile(format, events));
      expect([imported, rejected]).toEqual([wrong.length, wrong.length]);
      expect(errors).toEqual(
        wrong.map(([, status, detail, pointer], place) => ({
          index: 2 * place + 1,
          status,
          detail: expect.stringContaining(detail) as string,
          pointer: pointer ?? (expect.stringMatching(/^#\//) as string),
          line: expect.any(Number) as number,
        })),
      );
    });

    it('tells of the first 100', async () => {
      const events = Array.from({ length: 250 }, (_, place) => (place % 2 === 0 ? { ...EVENT, severity: 'x' } : EVENT));
      const { imported, rejected, errors } = await take(format, toFile(format, events));
      expect([imported, rejected, errors.length]).toEqual([125, 125, 100]);
      expect(errors.map(({ index }) => index)).toEqual(Array.from({ length: 100 }, (_, place) => 2 * place));
    });

    it('keeps the order over many batches', async () => {
      const events = Array.from({ length: 1750 }, (_, place) => ({ ...EVENT, source: String(place) }));
      expect(await take(format, toFile(format, events))).toMatchObject({ imported: 1750 });
      expect((await stored('source')).map(({ source }) => Number(source))).toEqual([...events.keys()]);
    });

    it('makes what is cached void', async () => {
      const total = async (): Promise<unknown> =>
        (await send<{ total_events: number }>('GET', `${api.url}/api/events/stats`)).body.total_events;
      const ofType = async (): Promise<unknown> =>
        (await send<unknown[]>('GET', `${api.url}/api/events/type/${format}`)).body.length;
      await take(format, toFile(format, [EVENT]));
      const [before] = [await total(), await ofType()];
      await upload(api, format, toFile(format, [{ ...EVENT, event_type: format }]));
      expect([await total(), await ofType()]).toEqual([Number(before) + 1, 1]);
    });

    it('rejects invalid UTF-8 in one event only', async () => {
      const [before, after] = toFile(format, [EVENT, { ...EVENT, message: '<>' }, EVENT]).split('<>') as [
        string,
        string,
      ];
      const file = new Uint8Array(Buffer.concat([Buffer.from(before), Buffer.from([0xff]), Buffer.from(after)]));
      const { imported, errors } = await take(format, file);
      expect(imported).toBe(2);
      expect(errors).toMatchObject([{ index: 1, status: 400, detail: 'The event is not valid UTF-8.' }]);
    });

    it('rejects one that is longer than 1 MiB', async () => {
      const column = format === 'csv' ? Buffer.byteLength('deployment,info,') : 0;
      const fill = (bytes: number): string =>
        format === 'csv'
          ? `deployment,info,${'x'.repeat(bytes - column)}`
          : JSON.stringify({ ...EVENT, message: '' }).replace(
              '""',
              () => `"${'x'.repeat(bytes - JSON.stringify({ ...EVENT, message: '' }).length)}"`,
            );
      const events = [fill(MAX_EVENT_BYTES), fill(MAX_EVENT_BYTES + 1), fill(3 * MAX_EVENT_BYTES)];
      const good = format === 'csv' ? 'deployment,info,good' : JSON.stringify(EVENT);
      const file = {
        csv: ['event_type,severity,message', ...events, good].join('\n'),
        ndjson: [...events, good].join('\n'),
        json: `[${[...events, good].join(',')}]`,
      }[format];
      const { imported, errors } = await take(format, file);
      expect(imported).toBe(1);
      expect(errors).toMatchObject([
        { index: 0, status: 422, pointer: '#/message' },
        { index: 1, status: 413, detail: 'The event is larger than 1 MiB.' },
        { index: 2, status: 413 },
      ]);
    });

    it('answers 400 for an upload without a body', async () => {
      const headers = { 'content-type': MEDIA_TYPES[format], 'content-length': '0' };
      const answer = await send('POST', `${api.url}/api/events/import`, { headers });
      if (format === 'ndjson') expect(answer.body).toEqual({ imported: 0, rejected: 0, errors: [] });
      else if (format === 'csv') expectInvalid(answer, '#/event_type');
      else expect(expectProblem(answer, 400).detail).toContain('the array has no end in line 1');
    });
  });

  it.each<[name: string, line: string, status: number, detail: string]>([
    ['broken JSON', '{"event_type":}', 400, 'The event is not valid JSON.'],
    ['two values', '{} {}', 400, 'The event is not valid JSON.'],
    ['a lone surrogate', '{"message":"\\ud800"}', 400, 'The event holds a lone surrogate, which is no character.'],
    ['no object', '5', 422, 'an event must be a JSON object'],
    ['null', 'null', 422, 'an event must be a JSON object'],
    ['an array', '[]', 422, 'an event must be a JSON object'],
    ['an unknown field', '{"colour":1}', 422, 'colour is not known here (and 3 more)'],
    ['a prototype', '{"__proto__":{}}', 422, 'must not have the key __proto__'],
  ])('rejects an event of JSON: %s', async (_name, line, status, detail) => {
    const lines = await take('ndjson', `${JSON.stringify(EVENT)}\n${line}\n\n${JSON.stringify(EVENT)}`);
    expect([lines.imported, lines.errors]).toEqual([
      2,
      [expect.objectContaining({ index: 1, line: 2, status, detail })],
    ]);
    await api.sql('TRUNCATE system_events');
    const { imported, errors } = await take(
      'json',
      `[${JSON.stringify(EVENT)},\n\n${line},\n${JSON.stringify(EVENT)}]`,
    );
    expect([imported, errors]).toEqual([2, [expect.objectContaining({ index: 1, line: 3, status, detail })]]);
  });

  it.each([
    ['no array', '{"event_type":"x"}', 0, 'there is no JSON array in line 1'],
    ['cut off', `[${JSON.stringify(EVENT)},\n${JSON.stringify(EVENT)}`, 1, 'the array has no end in line 2'],
    ['a comma too many', `[${JSON.stringify(EVENT)},\n]`, 1, 'an element of the array is missing in line 2'],
    ['two arrays', `[${JSON.stringify(EVENT)}]\n[]`, 1, 'something follows the array in line 2'],
  ])(
    'answers 400 to a JSON file that is broken, and keeps what stood before: %s',
    async (_name, file, imported, detail) => {
      expect(await refuse('json', file, imported)).toContain(detail);
    },
  );

  it('keeps what stood before a fault, also of earlier batches', async () => {
    const lines = Array.from({ length: 1203 }, () => JSON.stringify(EVENT));
    lines[7] = '{}';
    expect(await refuse('json', `[${lines.join(',\n')},\n]`, 1202)).toContain(
      '1202 events were imported and 1 rejected',
    );
  });

  describe('the table of CSV', () => {
    it('has its columns in any order, and may have a byte order mark', async () => {
      const file = '\uFEFFmessage,source,severity,event_type\nhello,,info,x\n"a ""quoted"" one","",error,y\n';
      expect(await take('csv', file)).toMatchObject({ imported: 2, rejected: 0 });
      expect(await stored('event_type, severity, message, source')).toEqual([
        { event_type: 'x', severity: 'info', message: 'hello', source: null },
        { event_type: 'y', severity: 'error', message: 'a "quoted" one', source: '' },
      ]);
    });

    it.each([
      ["'=1+1", '=1+1'],
      ["''x", "'x"],
      ["'x", 'x'],
      ['=1+1', '=1+1'],
      [`"'\rx"`, '\rx'],
      [`"'"`, undefined],
      [' x ', ' x '],
    ])('has one apostrophe taken away: %j', async (cell, message) => {
      const { imported } = await take('csv', `event_type,severity,message\nx,info,${cell}\n`);
      expect([imported, await stored('message')]).toEqual(message === undefined ? [0, []] : [1, [{ message }]]);
    });

    it.each([
      ['an unknown column', 'event_type,severity,message,colour', '#/colour'],
      ['a column without a name', 'event_type,severity,message,', '#/'],
      ['a column twice', 'event_type,severity,message,source,source', '#/source'],
      ['no type', 'severity,message', '#/event_type'],
      ['no severity', 'event_type,message', '#/severity'],
      ['no message', 'event_type,severity', '#/message'],
      ['another delimiter', 'event_type;severity;message', '#/event_type;severity;message'],
    ])('must have a header: %s', async (_name, header, pointer) => {
      expectInvalid(await upload(api, 'csv', `${header}\nx,info,m,1,2\n`), encodeURI(pointer).replaceAll(';', '%3B'));
      expect(await countEvents(api)).toBe(0);
    });

    it('has a header of 1 MiB at most, in UTF-8', async () => {
      const tooLong = await upload(api, 'csv', 'x'.repeat(MAX_EVENT_BYTES + 1));
      expect(expectProblem(tooLong, 413).detail).toBe('The header is larger than 1 MiB.');
      expectInvalid(await upload(api, 'csv', 'x'.repeat(MAX_EVENT_BYTES)), `#/${'x'.repeat(100)}%E2%80%A6`);
      expectProblem(await upload(api, 'csv', new Uint8Array([0x65, 0xff, 0x0a])), 400);
    });

    it.each([
      ['too few cells', 'x,info', 'The event does not fit the header: it has 2 cells, the header 4.'],
      ['too many cells', 'x,info,m,,', 'The event does not fit the header: it has 5 cells, the header 4.'],
      ['a quote inside', 'x,info,a"b,', 'The event is no CSV: its quotes are wrong.'],
      ['text behind a quote', '"x"y,info,m,', 'The event is no CSV: its quotes are wrong.'],
      ['details that are no JSON', 'x,info,m,{a}', 'details must be JSON'],
      ['details that are no object', 'x,info,m,5', 'details must be an object or null'],
    ])('rejects a row: %s', async (_name, row, detail) => {
      const file = `event_type,severity,message,details\r\nx,info,"two\r\nlines",\r\n${row}\r\n\r\nx,info,m,{}\r\n`;
      const { imported, errors } = await take('csv', file);
      expect([imported, errors]).toEqual([2, [expect.objectContaining({ index: 1, line: 4, detail })]]);
    });

    it('answers 400 for a quote without an end, and keeps what stood before', async () => {
      const file = 'event_type,severity,message\nx,info,m\nx,info,"m\nx,info,m\nx,info,m\n';
      expect(await refuse('csv', file, 1)).toContain('there is a quote without an end in the record in line 3');
    });
  });

  it('answers 415 to other types, and 422 to any parameter', async () => {
    for (const type of ['text/plain', 'application/xml', 'application/octet-stream', 'application/json-seq']) {
      const answer = await send('POST', `${api.url}/api/events/import`, {
        body: '[]',
        headers: { 'content-type': type },
      });
      expect(expectProblem(answer, 415).detail).toBe(
        'Send the request body with Content-Type: application/x-ndjson, application/json or text/csv.',
      );
    }
    const headers = { 'content-type': 'text/csv; charset=utf-8; header=present' };
    const body = 'event_type,severity,message\nx,info,m\n';
    expect((await send('POST', `${api.url}/api/events/import`, { body, headers })).status).toBe(200);
    expectInvalid(await send('POST', `${api.url}/api/events/import?format=csv`, { body, headers }), 'format');
    expectProblem(await send('POST', `${api.url}/api/events/import`), 400);
    expectProblem(await send('GET', `${api.url}/api/events/import`), 405);
  });

  it('answers 422 to an Idempotency-Key, whose promise it does not keep', async () => {
    const headers = { 'content-type': MEDIA_TYPES.ndjson, 'idempotency-key': 'order-1' };
    const answer = await send('POST', `${api.url}/api/events/import`, { body: JSON.stringify(EVENT), headers });
    expect(expectInvalid(answer, 'Idempotency-Key').detail).toContain('not supported here');
    expect(await countEvents(api)).toBe(0);
  });
});
