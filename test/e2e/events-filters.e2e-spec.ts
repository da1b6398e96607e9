import { createEvent, expectInvalid, nextLink, startEmptyApp, type EventBody } from '../support/events';
import { requestRaw } from '../support/raw-http';
import { send, type Answer } from '../support/http';
import type { TestApp } from '../support/test-app';

const MINUTE_MS = 60_000;

describe('the filters of GET /api/events', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterEach(() => api.sql('TRUNCATE system_events'));

  afterAll(() => api.close());

  const list = (query: string): Promise<Answer<EventBody[]>> => send('GET', `${api.url}/api/events?${query}`);

  /** The messages of what a query finds, in order of their text. */
  async function messages(query: string): Promise<string[]> {
    const { status, body, text } = await list(query);
    expect([query, status, text]).toEqual([query, 200, expect.any(String)]);
    return body.map(({ message }) => message).sort();
  }

  describe('since and until', () => {
    const at = (timestamp: string): Promise<unknown> => createEvent(api, { timestamp, message: timestamp });
    const TIMES = ['2026-01-10T08:59:59.999Z', '2026-01-10T09:00:00.000Z', '2026-01-10T09:00:00.001Z'];

    beforeEach(async () => {
      for (const time of TIMES) await at(time);
    });

    it.each([
      ['since=2026-01-10T09:00:00Z', [1, 2]],
      ['since=2026-01-10T09:00:00.001Z', [2]],
      ['since=2026-01-10T08:59:59.999Z', [0, 1, 2]],
      ['since=2026-01-10T09:00:00.0001Z', [2]],
      ['since=2026-01-10T08:59:59.9991000Z', [1, 2]],
      ['since=2026-01-10T09:00:00.000000Z', [1, 2]],
      ['until=2026-01-10T09:00:00Z', [0]],
      ['until=2026-01-10T09:00:00.001Z', [0, 1]],
      ['until=2026-01-10T09:00:00.0001Z', [0, 1]],
      ['until=2026-01-10T09:00:00.002Z', [0, 1, 2]],
      ['since=2026-01-10T09:00:00Z&until=2026-01-10T09:00:00.001Z', [1]],
      ['since=2026-01-10T09:00:00Z&until=2026-01-10T09:00:00Z', []],
      ['since=2026-01-10T10:00:00%2B01:00', [1, 2]],
      ['since=2026-01-10T10:00:00+01:00', [1, 2]],
      ['until=2026-01-10T14:30:00+05:30', [0]],
      ['since=2026-01-10T04:00:00-05:00', [1, 2]],
      ['since=2026-01-10t09:00:00z', [1, 2]],
      ['since=2026-01-09T23:00:00-10:00', [1, 2]],
      ['since=0001-01-01T00:00:00Z', [0, 1, 2]],
      ['until=0050-01-01T00:00:00Z', []],
      ['since=9999-12-31T23:59:59.999Z', []],
      ['until=9999-12-31T23:59:59.999Z', [0, 1, 2]],
    ])('%s', async (query, places) => {
      expect(await messages(query)).toEqual(places.map((place) => TIMES[place]));
    });

    it('take a plus sign as it stands in the target of the request', async () => {
      const answer = await requestRaw(api.url, 'GET', '/api/events?since=2026-01-10T10:00:00.001+01:00');
      expect(answer.status).toBe(200);
      expect((JSON.parse(answer.body) as EventBody[]).map(({ message }) => message)).toEqual([TIMES[2]]);
    });

    it.each([
      ['s', 1 / 60],
      ['m', 1],
      ['h', 60],
      ['d', 24 * 60],
      ['w', 7 * 24 * 60],
    ])('count back from now in %s', async (unit, minutes) => {
      const ago = async (share: number): Promise<void> => {
        const age = minutes * 100 * MINUTE_MS * share;
        await createEvent(api, { message: `${share}`, timestamp: new Date(Date.now() - age).toISOString() });
      };
      for (const share of [0.1, 0.4, 0.6, 0.9]) await ago(share);
      const both = await messages(`since=75${unit}&until=25${unit}`);
      expect(both.filter((message) => !message.includes('T'))).toEqual(['0.4', '0.6']);
      expect(await messages(`until=0${unit}`)).toHaveLength(7);
      expect(await messages(`since=0${unit}`)).toEqual([]);
      expect(await messages(`until=95${unit}&since=200${unit}`)).toEqual(expect.not.arrayContaining(['0.9']));
    });

    it('may be mixed', async () => {
      expect(await messages('since=2026-01-10T09:00:00Z&until=1s')).toEqual(TIMES.slice(1));
    });

    it.each([
      ...['', 'infinity', '-infinity', 'now', 'today', 'yesterday', 'epoch', '0', '1768035600', '1h30m', '-1h', '+1h'],
      ...['1 h', '1.5h', '1H', '1y', '1M', '1ms', 'h', '1234567s', '999999w', '٣h', '1h ', ' 1h', 'P1D', 'null', 'NaN'],
      ...['2026-01-10', '2026-01-10T09:00:00', '2026-01-10 09:00:00Z', '2026-01-10T09:00Z', '2026-01-10T09:00:00+0100'],
      ...['2026-02-30T00:00:00Z', '2025-02-29T00:00:00Z', '2026-13-01T00:00:00Z', '2026-00-10T00:00:00Z'],
      ...['2026-01-10T24:00:00Z', '2026-01-10T09:60:00Z', '2026-01-10T09:00:60Z', '2026-01-10T09:00:00+24:00'],
      ...['0000-01-01T00:00:00Z', '0001-01-01T00:00:00+00:01', '9999-12-31T23:59:59.9991Z', '10000-01-01T00:00:00Z'],
      ...['9999-12-31T23:59:59-00:01', '-2026-01-10T09:00:00Z', '2026-01-10T09:00:00Z\0', '2026-01-10T09:00:00 BC'],
      "2026-01-10T09:00:00Z'; DROP TABLE system_events; --",
    ])('refuse “%s”', async (text) => {
      for (const name of ['since', 'until']) expectInvalid(await list(`${name}=${encodeURIComponent(text)}`), name);
    });

    it('refuse to be given twice, and the wrong way round', async () => {
      expectInvalid(await list('since=1h&since=2h'), 'since');
      expectInvalid(await list('until=1h&until=1h'), 'until');
      expectInvalid(await list('since=2026-01-10T09:00:00.001Z&until=2026-01-10T09:00:00Z'), 'until');
      expectInvalid(await list('since=1h&until=2h'), 'until');
      expect((await list('since=1h&until=1h')).body).toEqual([]);
    });
  });

  describe('min_severity', () => {
    beforeEach(async () => {
      for (const severity of ['info', 'warning', 'error', 'critical']) {
        await createEvent(api, { severity, message: severity });
      }
    });

    it.each([
      ['min_severity=info', ['critical', 'error', 'info', 'warning']],
      ['min_severity=warning', ['critical', 'error', 'warning']],
      ['min_severity=error', ['critical', 'error']],
      ['min_severity=critical', ['critical']],
      ['min_severity=error&severity=info', []],
      ['min_severity=error&severity=info&severity=error', ['error']],
      ['min_severity=warning&severity=critical&severity=warning', ['critical', 'warning']],
      ['min_severity=error&severity=info&count=exact', []],
      ['min_severity=error&severity=info&count=estimated', []],
    ])('%s', async (query, expected) => {
      expect(await messages(query)).toEqual(expected);
    });

    it.each(['', 'INFO', 'fatal', 'info,error', '1', 'toString', 'error%00'])('refuses “%s”', async (text) => {
      expectInvalid(await list(`min_severity=${text}`), 'min_severity');
    });

    it('refuses to be given twice', async () => {
      expectInvalid(await list('min_severity=info&min_severity=info'), 'min_severity');
    });
  });

  describe('details.<path>', () => {
    const store = (details: unknown, message: string): Promise<unknown> => createEvent(api, { details, message });
    const parameter = (path: string, value: string): string =>
      `${encodeURIComponent(`details.${path}`)}=${encodeURIComponent(value)}`;

    it.each<[value: string, found: unknown[], others: unknown[]]>([
      ['4', [4, 4.0, '4', [4], ['4'], [1, 4]], [40, '04', '4.0', 44, true, null, [[4]], { 4: 4 }, [44]]],
      ['4.0', [4, '4.0'], ['4']],
      ['4e0', [4, '4e0'], ['4']],
      ['04', ['04'], [4, '4']],
      ['-1', [-1, '-1', [-1]], [1, '1']],
      ['1e3', [1000, '1e3'], ['1000']],
      ['0.1', [0.1, '0.1'], [0.10000001, '.1']],
      ['.1', ['.1'], [0.1]],
      ['+1', ['+1'], [1]],
      ['1e400', ['1e400'], [1.5]],
      ['1e9999999999', ['1e9999999999'], [0]],
      ['1e-400', ['1e-400'], [0]],
      ['1e-99999999', ['1e-99999999'], [0]],
      ['0e99999999', ['0e99999999'], [0]],
      ['9007199254740991', [9007199254740991, '9007199254740991'], [9007199254740990]],
      ['9007199254740993', ['9007199254740993'], [9007199254740991]],
      ['true', [true, 'true', [true]], [1, false, 'True']],
      ['null', [null, 'null'], [0, false, {}]],
      ['a', ['a', ['a'], ['b', 'a']], ['A', 'ab', { a: 'a' }, ' a']],
      ['[1]', ['[1]'], [[1], 1]],
      ['{}', ['{}'], [{}, []]],
      ['"a"', ['"a"'], ['a']],
      ['%', ['%'], ['a', '']],
      ["' OR 1=1 --", ["' OR 1=1 --"], ['a']],
      ['\\u0041', ['\\u0041'], ['A']],
      ['😀 é', ['😀 é', ['😀 é']], ['😀']],
    ])('finds %s as number, text or literal, by itself or in a list', async (value, found, others) => {
      for (const [index, stored] of found.entries()) await store({ x: stored, y: 1 }, `found ${index}`);
      for (const [index, stored] of others.entries()) await store({ x: stored }, `other ${index}`);
      for (const details of [null, {}, { y: value }, { z: { x: value } }]) await store(details, 'other place');
      expect(await messages(parameter('x', value))).toEqual(found.map((_, index) => `found ${index}`));
    });

    it.each([
      ...['http', 'a b', 'a:b', 'a"b', 'a\\b', "a'b", 'a%b', 'a&b=c', 'a+b', 'a/b', '$', '$1', ':name', '0', '[]', '*'],
      ...[
        'toString',
        'hasOwnProperty',
        'é',
        '部署',
        '😀',
        '\u202e',
        'A'.repeat(500),
        'null',
        '?',
        '#',
        '\t',
        '\n',
        ' ',
      ],
    ])('takes the key “%s”, at any level', async (key) => {
      await store({ [key]: 'v', other: { [key]: { [key]: 7 } } }, 'found');
      await store({ [`${key}x`]: 'v', [[...key].slice(1).join('') || 'y']: 'v', other: { [key]: 7 } }, 'other');
      expect(await messages(parameter(key, 'v'))).toEqual(['found']);
      expect(await messages(parameter(`other.${key}.${key}`, '7'))).toEqual(['found']);
    });

    // They cannot come in by the API, but may stand in a table that was there before.
    it.each(['__proto__', 'constructor', 'prototype'])('takes the key “%s”', async (key) => {
      await api.sql(
        `INSERT INTO system_events (event_type, severity, message, details)
         VALUES ('t', 'info', 'found', jsonb_build_object($1::text, 1)), ('t', 'info', 'other', '{}')`,
        [key],
      );
      expect(await messages(parameter(key, '1'))).toEqual(['found']);
      expect(await messages(parameter(`${key}.${key}`, '1'))).toEqual([]);
    });

    it('takes any of the values of one path, and all of the paths', async () => {
      await store({ a: 1, b: { c: 'x' } }, 'one');
      await store({ a: 2, b: { c: 'x' } }, 'two');
      await store({ a: 3, b: { c: 'y' } }, 'three');
      expect(await messages('details.a=1&details.a=2')).toEqual(['one', 'two']);
      expect(await messages('details.a=1&details.a=3&details.b.c=y')).toEqual(['three']);
      expect(await messages('details.a=1&details.b.c=y')).toEqual([]);
      expect(await messages('details.b.c=x&details.a=2&severity=info&q=two&source=nobody')).toEqual([]);
      expect(await messages('details.b.c=x&details.a=2&severity=info&q=two')).toEqual(['two']);
    });

    it('takes 20 paths and no more, 100 values of one and no more', async () => {
      const all = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`k${index}`, index]));
      await store(all, 'found');
      const paths = Object.entries(all).map(([key, value]) => `details.${key}=${value}`);
      expect(await messages(paths.slice(0, 20).join('&'))).toEqual(['found']);
      expectInvalid(await list(paths.join('&')), 'details.k20');
      const values = Array.from({ length: 101 }, (_, index) => `details.k1=${index}`);
      expect(await messages(values.slice(0, 100).join('&'))).toEqual(['found']);
      expectInvalid(await list(values.join('&')), 'details.k1');
    });

    it('takes 32 steps and no more', async () => {
      const nested = (levels: number): unknown => (levels === 0 ? 'deep' : { k: nested(levels - 1) });
      await store(nested(32), 'found');
      const path = Array.from({ length: 32 }, () => 'k').join('.');
      expect(await messages(`details.${path}=deep`)).toEqual(['found']);
      expectInvalid(await list(`details.${path}.k=deep`), `details.${path}.k`);
    });

    it('takes a value of 1 to 1000 characters', async () => {
      await store({ x: '😀'.repeat(1000) }, 'found');
      expect(await messages(parameter('x', '😀'.repeat(1000)))).toEqual(['found']);
      expectInvalid(await list(parameter('x', '😀'.repeat(1001))), 'details.x');
      expectInvalid(await list('details.x='), 'details.x');
      expectInvalid(await list('details.x'), 'details.x');
      expectInvalid(await list('details.x=1&details.x='), 'details.x');
    });

    it.each(['details.', 'details..a', 'details.a.', 'details.a..b', 'details', 'detailsx', 'details]a', 'Details.a'])(
      'refuses the parameter %s',
      async (name) => {
        expectInvalid(await list(`${name}=1`), name);
      },
    );

    it('refuses NUL in a path and in a value', async () => {
      expectInvalid(await list('details.a%00b=1'), 'details.a\0b');
      expectInvalid(await list('details.a=%00'), 'details.a');
    });

    it('names every parameter that is wrong', async () => {
      const answer = await list('details.a=&details..b=1&colour=red&q=%20&details.c=1');
      expectInvalid(answer, 'colour', 'details.a', 'details..b', 'q');
    });
  });

  it('keeps every filter on the next page, and the count for whoever asks', async () => {
    for (const index of [1, 2, 3]) {
      await createEvent(api, { message: `Größe ${index}`, details: { 'a&b': index, t: 'x+y' }, source: 'a b' });
    }
    const filters = [
      ...['since=2000-01-01T00:00:00%2b01:00', 'event_type=deployment&event_type=x%2Fy', 'min_severity=info'],
      ...[
        'source=a+b&source=a%20b&source=%3C%22%3E',
        'q=gr%C3%B6%C3%9Fe',
        'details.t=x%2By',
        'sort=timestamp',
        'limit=1',
      ],
    ].join('&');
    const first = await list(`${filters}&count=exact&offset=0`);
    expect(first.headers.get('x-total-count')).toBe('3');
    const found = [...first.body];
    for (let next = nextLink(first); next !== undefined;) {
      expect(next).toMatch(/^\/api\/events\?/);
      expect(next.startsWith(`/api/events?${filters}&cursor=`)).toBe(true);
      const page: Answer<EventBody[]> = await send('GET', api.url + next);
      expect([page.status, page.headers.get('x-total-count')]).toEqual([200, null]);
      found.push(...page.body);
      next = nextLink(page);
    }
    expect(found.map(({ message }) => message)).toEqual(['Größe 1', 'Größe 2', 'Größe 3']);
  });

  it('counts exactly, also with a cursor or an offset, and estimates', async () => {
    for (const severity of ['info', 'info', 'error']) await createEvent(api, { severity });
    const total = async (query: string): Promise<string | null> => {
      const answer = await list(query);
      expect(answer.status).toBe(200);
      return answer.headers.get('x-total-count');
    };
    expect(await total('limit=1')).toBeNull();
    expect(await total('count=exact&limit=1')).toBe('3');
    expect(await total('count=exact&offset=2')).toBe('3');
    expect(await total('count=exact&severity=info')).toBe('2');
    expect(await total('count=exact&severity=info&q=live&details.x=1')).toBe('0');
    expect(await total('count=exact&since=1h&min_severity=warning')).toBe('1');
    const next = new URLSearchParams(nextLink(await list('limit=1&severity=info'))?.split('?')[1]);
    expect(await total(`${next.toString()}&count=exact`)).toBe('2');
    for (const filter of ['', '&severity=info', '&q=live', '&since=1h&source=nobody']) {
      expect(await total(`count=estimated${filter}`)).toMatch(/^\d+$/);
    }
    for (const text of ['', 'EXACT', 'true', '1', 'toString']) expectInvalid(await list(`count=${text}`), 'count');
    expectInvalid(await list('count=exact&count=exact'), 'count');
  });

  it('has room for 100 long values, and for their link', async () => {
    const types = Array.from({ length: 100 }, (_, index) => `${'t'.repeat(97)}${String(index).padStart(3, '0')}`);
    for (const type of types.slice(0, 2)) await createEvent(api, { event_type: type, message: type });
    const first = await list(`${types.map((type) => `event_type=${type}`).join('&')}&limit=1`);
    expect(first.body.map(({ event_type }) => event_type)).toEqual([types[1]]);
    const second = await send<EventBody[]>('GET', api.url + nextLink(first));
    expect(second.body.map(({ event_type }) => event_type)).toEqual([types[0]]);
  });
});
