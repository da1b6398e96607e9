import { countEvents, createEvent, EVENT, expectInvalid, sendText, startEmptyApp, TIME } from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';

const DAY_MS = 24 * 60 * 60 * 1000;
const EMOJI = '😀';

/** An object of so many levels. */
function nested(levels: number): Record<string, unknown> {
  let value: Record<string, unknown> = {};
  for (let level = 1; level < levels; level++) value = { a: value };
  return value;
}

/** An object of so many levels, all but the outer one arrays. */
function nestedArrays(levels: number): Record<string, unknown> {
  let value: unknown[] = ['a scalar is no level'];
  for (let level = 2; level < levels; level++) value = [value];
  return { a: value };
}

/** An object whose compact JSON has so many bytes. */
function sized(bytes: number, character = 'x'): Record<string, unknown> {
  const room = bytes - '{"a":""}'.length;
  const width = Buffer.byteLength(character);
  return { a: character.repeat(Math.floor(room / width)) + 'x'.repeat(room % width) };
}

describe('POST /api/events', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterAll(() => api.close());

  it('answers with the stored event, where it is and its version', async () => {
    const event = { ...EVENT, details: { b: 1, a: [1, { c: null }], aa: true }, source: 'api' };
    const { headers, body } = await createEvent(api, event);
    expect(Object.keys(body)).toEqual([
      'id',
      'event_type',
      'severity',
      'message',
      'details',
      'source',
      'timestamp',
      'created_at',
      'updated_at',
    ]);
    expect(body).toEqual({
      ...event,
      id: expect.any(Number) as number,
      timestamp: expect.stringMatching(TIME) as string,
      created_at: body.timestamp,
      updated_at: body.timestamp,
    });
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(headers.get('location')).toBe(`/api/events/${body.id}`);
    expect(headers.get('etag')).toBe(`"${body.id}-1"`);
  });

  it('answers what every later GET answers, byte for byte', async () => {
    const details = { zz: 1.5, b: 'é😀"\\\n\u007f', a: [1e-7, -0, 1e15], '': { toString: 'x', 'a/b~c': [] } };
    const created = await createEvent(api, { details, source: 'a "quoted" / ünïcode source' });
    for (const read of ['loaded', 'cached']) {
      const answer = await send('GET', `${api.url}/api/events/${created.body.id}`);
      expect([read, answer.text]).toEqual([read, created.text]);
      expect(answer.headers.get('etag')).toBe(created.headers.get('etag'));
    }
    expect(created.body.details).toEqual({ ...details, a: [1e-7, 0, 1e15] });
  });

  it('assigns ascending ids', async () => {
    const [first, second] = [await createEvent(api), await createEvent(api)];
    expect(second.body.id).toBeGreaterThan(first.body.id);
  });

  it.each([{}, { details: null, source: null }])('reads unset fields back as null: %j', async (fields) => {
    const { body } = await createEvent(api, fields);
    expect(body).toMatchObject({ details: null, source: null });
  });

  it.each([
    ['2026-01-31T09:30:00Z', '2026-01-31T09:30:00.000Z'],
    ['2026-01-31t09:30:00.5z', '2026-01-31T09:30:00.500Z'],
    ['2026-01-31T09:30:00.123987654Z', '2026-01-31T09:30:00.123Z'],
    ['2026-01-31T09:30:00.123+01:00', '2026-01-31T08:30:00.123Z'],
    ['2026-01-31T20:30:00-05:30', '2026-02-01T02:00:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000Z'],
    ['1970-01-01T01:00:00+01:00', '1970-01-01T00:00:00.000Z'],
  ])('takes the time %s as %s', async (timestamp, expected) => {
    const { body } = await createEvent(api, { timestamp });
    expect(body.timestamp).toBe(expected);
    expect(body.created_at).toMatch(TIME);
  });

  it('takes a time just less than one day ahead', async () => {
    const timestamp = new Date(Date.now() + DAY_MS - 5000).toISOString();
    expect((await createEvent(api, { timestamp })).body.timestamp).toBe(timestamp);
  });

  it.each<[string, Record<string, unknown>]>([
    ['event_type of 1', { event_type: 'x' }],
    ['event_type of 100', { event_type: 'x'.repeat(100) }],
    ['event_type of 100 astral characters', { event_type: EMOJI.repeat(100) }],
    ['message of 1', { message: 'x' }],
    ['message of 65,536', { message: 'x'.repeat(65_536) }],
    ['message of 65,536 astral characters', { message: EMOJI.repeat(65_536) }],
    ['source of 0', { source: '' }],
    ['source of 200', { source: 'x'.repeat(200) }],
    ['source of 200 astral characters', { source: EMOJI.repeat(200) }],
    ['event_type with one visible character', { event_type: '\u200b x' }],
    ['event_type and source with tabs and line breaks', { event_type: '\ta\r\n', source: 'web-1\n\t' }],
    ['event_type of joined emoji and marks', { event_type: '\u{1f468}\u200d\u{1f4bb} \u2764\ufe0f e\u0301' }],
    ['message of white space', { message: ' \n' }],
    ['message of nothing that can be seen', { message: '\u200b\u2060' }],
    ['message with the colours of a terminal', { message: '\u001b[31mfailed\u001b[0m\u0007\u0001\u007f\u009b' }],
    ['source of white space', { source: ' ' }],
    ['severity warning', { severity: 'warning' }],
    ['severity error', { severity: 'error' }],
    ['severity critical', { severity: 'critical' }],
    ['details of one level', { details: {} }],
    ['details of 32 levels', { details: nested(32) }],
    ['details of 32 levels of arrays', { details: nestedArrays(32) }],
    ['details of 256 KiB', { details: sized(256 * 1024) }],
    ['details of 256 KiB in wide characters', { details: sized(256 * 1024, EMOJI) }],
    ['details with the names of object methods', { details: { toString: 1, hasOwnProperty: { valueOf: [2] } } }],
    ['details with the names of ORM internals', { details: { '@instanceof': 'FindOperator', _type: 'raw' } }],
    ['details with odd keys', { details: { '': 1, ' ': 2, '0': 3, 'a.b': 4, "'; --": 5, $ref: '#/x', ключ: 6 } }],
  ])('stores and returns unchanged: %s', async (_name, fields) => {
    const { body } = await createEvent(api, fields);
    expect(body).toMatchObject(fields);
    const read = await send('GET', `${api.url}/api/events/${body.id}`);
    expect(read.body).toEqual(body);
  });

  it.each([
    ['9007199254740991', 9_007_199_254_740_991],
    ['-9007199254740991', -9_007_199_254_740_991],
    ['-0', 0],
    ['0.1', 0.1],
    ['1e-7', 1e-7],
    ['-1.5e-10', -1.5e-10],
    ['5e-324', 5e-324],
    ['1E3', 1000],
    // Beyond the digits of a double: rounded, as the document says.
    ['4503599627370497.75', 4503599627370498],
    ['0.12345678901234567890', 0.12345678901234568],
    ['123456789.123456', 123_456_789.123_456],
  ])('stores the number %s', async (text, number) => {
    const answer = await sendText('POST', `${api.url}/api/events`, eventWithNumber(text));
    expect(answer.body).toMatchObject({ details: { n: [number] } });
  });

  it.each([
    '9007199254740992',
    '-9007199254740992',
    '9007199254740993',
    '1e400',
    '-1e400',
    '1e300',
    '1e16',
    '1e-400',
    '-2e-324',
  ])('refuses the number %s instead of rounding it', async (text) => {
    const before = await countEvents(api);
    const answer = await sendText('POST', `${api.url}/api/events`, eventWithNumber(text));
    expectInvalid(answer, '#/details/n/0');
    expect(await countEvents(api)).toBe(before);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['no event_type', { event_type: undefined }, '#/event_type'],
    ['no severity', { severity: undefined }, '#/severity'],
    ['no message', { message: undefined }, '#/message'],
    ['event_type null', { event_type: null }, '#/event_type'],
    ['severity null', { severity: null }, '#/severity'],
    ['message null', { message: null }, '#/message'],
    ['timestamp null', { timestamp: null }, '#/timestamp'],
    ['event_type of 0', { event_type: '' }, '#/event_type'],
    ['event_type of 101', { event_type: 'x'.repeat(101) }, '#/event_type'],
    ['event_type of 101 astral characters', { event_type: EMOJI.repeat(101) }, '#/event_type'],
    ['event_type a number', { event_type: 1 }, '#/event_type'],
    ['event_type an array', { event_type: ['x'] }, '#/event_type'],
    ['a wrong severity', { severity: 'fatal' }, '#/severity'],
    ['severity in capitals', { severity: 'INFO' }, '#/severity'],
    ['severity an array', { severity: ['info'] }, '#/severity'],
    ['message of 0', { message: '' }, '#/message'],
    ['message of 65,537', { message: 'x'.repeat(65_537) }, '#/message'],
    ['message of 65,537 astral characters', { message: EMOJI.repeat(65_537) }, '#/message'],
    ['message an object', { message: { toString: 'x' } }, '#/message'],
    ['source of 201', { source: 'x'.repeat(201) }, '#/source'],
    ['source of 201 astral characters', { source: EMOJI.repeat(201) }, '#/source'],
    ['source false', { source: false }, '#/source'],
    ['details of 33 levels', { details: nested(33) }, '#/details'],
    ['details of 33 levels of arrays', { details: nestedArrays(33) }, '#/details'],
    ['details of 256 KiB and a byte', { details: sized(256 * 1024 + 1) }, '#/details'],
    ['details of 256 KiB and a byte in wide characters', { details: sized(256 * 1024 + 1, EMOJI) }, '#/details'],
    // Written out by PostgreSQL, 45 times as long.
    ['details of small numbers', { details: { numbers: Array<number>(1000).fill(1e-308) } }, '#/details'],
    ['details an array', { details: [] }, '#/details'],
    ['details a string', { details: '{}' }, '#/details'],
    ['details a number', { details: 0 }, '#/details'],
    ['details false', { details: false }, '#/details'],
    ['a time without a zone', { timestamp: '2026-01-31T09:30:00' }, '#/timestamp'],
    ['a date', { timestamp: '2026-01-31' }, '#/timestamp'],
    ['infinity', { timestamp: 'infinity' }, '#/timestamp'],
    ['-infinity', { timestamp: '-infinity' }, '#/timestamp'],
    ['now', { timestamp: 'now' }, '#/timestamp'],
    ['30 February', { timestamp: '2026-02-30T00:00:00Z' }, '#/timestamp'],
    ['29 February of a common year', { timestamp: '2026-02-29T00:00:00Z' }, '#/timestamp'],
    ['the 13th month', { timestamp: '2026-13-01T00:00:00Z' }, '#/timestamp'],
    ['24 o’clock', { timestamp: '2026-01-31T24:00:00Z' }, '#/timestamp'],
    ['a leap second', { timestamp: '2016-12-31T23:59:60Z' }, '#/timestamp'],
    ['before 1970', { timestamp: '1969-12-31T23:59:59.999Z' }, '#/timestamp'],
    ['before 1970 in UTC', { timestamp: '1970-01-01T00:59:59+01:00' }, '#/timestamp'],
    ['more than a day ahead', { timestamp: new Date(Date.now() + DAY_MS + 600_000).toISOString() }, '#/timestamp'],
    ['the year 10000', { timestamp: '10000-01-01T00:00:00Z' }, '#/timestamp'],
    ['a time as a number', { timestamp: 1_769_851_800 }, '#/timestamp'],
    ['an unknown field', { colour: 'red' }, '#/colour'],
    ['an unknown field that needs escaping', { 'a/b~c d': 1 }, '#/a~1b~0c%20d'],
    ['an unknown field without a name', { '': 1 }, '#/'],
    ['a field of the server', { id: 5 }, '#/id'],
    ['the internal version', { version: 2 }, '#/version'],
    ['the time of storing', { created_at: '2026-01-31T09:30:00Z' }, '#/created_at'],
    ['toString', { toString: 'x' }, '#/toString'],
    ['hasOwnProperty', { hasOwnProperty: 'x' }, '#/hasOwnProperty'],
    ['__defineGetter__', { __defineGetter__: 'x' }, '#/__defineGetter__'],
  ])('refuses and does not store: %s', async (_name, fields, pointer) => {
    const before = await countEvents(api);
    const answer = await send('POST', `${api.url}/api/events`, { json: { ...EVENT, ...fields } });
    expectInvalid(answer, pointer);
    expect(await countEvents(api)).toBe(before);
  });

  it('names every broken rule at once', async () => {
    const answer = await send('POST', `${api.url}/api/events`, { json: { severity: 'x', source: 1, colour: 2 } });
    const problem = expectInvalid(answer, ...['#/colour', '#/event_type', '#/severity', '#/message', '#/source']);
    expect(problem.detail).toMatch(/^The request is not valid: .*\(and 4 more\)$/);
  });
});

function eventWithNumber(text: string): string {
  return `${JSON.stringify(EVENT).slice(0, -1)},"details":{"n":[${text}]}}`;
}
