import * as fc from 'fast-check';
import { createEvent, expectInvalid, startEmptyApp, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import type { TestApp } from '../support/test-app';

describe('the search of GET /api/events', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterEach(() => api.sql('TRUNCATE system_events'));

  afterAll(() => api.close());

  const search = (text: string): Promise<Answer<EventBody[]>> =>
    send('GET', `${api.url}/api/events?q=${encodeURIComponent(text)}`);

  async function finds(text: string): Promise<string[]> {
    const { status, body } = await search(text);
    expect([text, status]).toEqual([text, 200]);
    return body.map(({ message }) => message).sort();
  }

  it.each<[message: string, found: string[], missed: string[]]>([
    [
      'replica pg-node_7 is behind',
      ['pg-node_7', 'pg', 'node', '7', 'node_7', 'pg-node', 'PG-NODE_7', '"pg-node_7"', '"replica pg-node_7"'],
      ['pg-node_8', 'node_7-pg', 'nod', 'g-node_7', '"pg-node_7 replica"', '-7'],
    ],
    [
      'disk /dev/sda1 is full',
      ['/dev/sda1', 'dev/sda1', 'sda1', 'dev', '/sda1', '"disk /dev/sda1"', 'SDA1'],
      ['sda', 'sda2', '/sda1/dev', 'dev/full'],
    ],
    [
      'com.foo.BarService.run failed',
      ['com.foo.BarService', 'BarService', 'barservice', 'foo.BarService', 'foo', 'BarService.run', 'com'],
      ['Bar', 'Service', 'com.BarService', 'foo.run'],
    ],
    [
      'pod api-7f9c4d-x2x9p evicted',
      ['api-7f9c4d', 'api-7f9c4d-x2x9p', '7f9c4d', 'x2x9p', 'api'],
      ['api-x2x9p', '7f9c', 'f9c4d'],
    ],
    [
      'mail to jane.doe+ops@mail.example.com bounced',
      ['jane.doe+ops@mail.example.com', 'jane.doe', 'mail.example.com', 'example', 'ops', '@mail', 'doe+ops'],
      ['john.doe', 'jane@mail'],
    ],
    [
      'GET https://api.example.com:8443/v1/orders/42?page=2&sort=-id#top gave 503',
      [
        'https://api.example.com:8443/v1/orders/42?page=2&sort=-id#top',
        '8443',
        'orders/42',
        'v1',
        'page=2',
        'sort',
        '42',
        '503',
        'top',
      ],
      ['orders/43', '844', 'page=3', '-503'],
    ],
    [
      'api 1.4.2 is live',
      ['1.4.2', '1.4', '4.2', '"api 1.4.2"', '1', 'v1.4.2 or 1.4.2'],
      ['1.4.3', '1.42', '14', '2.4', 'v1.4.2'],
    ],
    ['no route to 10.20.30.40', ['10.20.30.40', '20.30', '10', '10.20.30'], ['10.20.30.4', '0.20', '10.30']],
    ['-5 degrees, +3 bar, 1.5e3 rpm', ['5', '"-5"', '3', '+3', '1.5e3', '5 rpm'], ['-3 rpm', '1500']],
    [
      '<b>bold</b> &amp; <script>alert(1)</script>',
      ['bold', 'b', 'script', 'alert', 'alert(1)', 'amp', '<b>'],
      ['ale'],
    ],
    ["it's “quoted” and ‘it’", ["it's", 's', '“quoted”'], ["its'x"]],
    [
      'snake_case and kebab-case and C:\\temp\\a.txt ~user',
      ['snake_case', 'C:\\temp', 'temp\\a.txt', '~user'],
      ['a.tx'],
    ],
    ['служба упала: Ошибка №5', ['служба', 'ОШИБКА', 'ошибка', '"служба упала"'], ['служб', 'упал']],
    ['Größe überschritten, café', ['größe', 'GRÖSSE or größe', 'ÜBERSCHRITTEN', 'café'], ['grosse', 'cafe']],
    ['部署 完成', ['部署', '完成', '部署 完成'], ['部']],
    ['done 🚀 rocket', ['🚀 rocket', 'done', '"done 🚀 rocket"'], []],
    ['a word or two', ['word', '"or"', 'two or three', 'OR word', 'word or', '"a word or two"'], ['"word two"']],
  ])('finds in “%s” what is there, whole and by part', async (message, found, missed) => {
    await createEvent(api, { message });
    await createEvent(api, { message: 'something else entirely' });
    for (const text of found) expect([text, await finds(text)]).toEqual([text, [message]]);
    for (const text of missed) expect([text, await finds(text)]).not.toEqual([text, [message]]);
  });

  it('takes words, phrases, exclusions and alternatives', async () => {
    for (const message of ['red apple', 'green apple', 'red pear', 'apple red']) await createEvent(api, { message });
    const expected: [string, string[]][] = [
      ['apple', ['apple red', 'green apple', 'red apple']],
      ['red apple', ['apple red', 'red apple']],
      ['"red apple"', ['red apple']],
      ['"apple red"', ['apple red']],
      ['apple -red', ['green apple']],
      ['-red', ['green apple']],
      ['-red -green', []],
      ['-apple', ['red pear']],
      ['-"red apple"', ['apple red', 'green apple', 'red pear']],
      ['red -"red apple"', ['apple red', 'red pear']],
      ['green or pear', ['green apple', 'red pear']],
      ['green OR pear', ['green apple', 'red pear']],
      ['red pear or green', ['green apple', 'red pear']],
      ['"red pear" or "green apple"', ['green apple', 'red pear']],
      ['red -apple or green', ['green apple', 'red pear']],
      ['apple-red', ['apple red']],
      ['apple, red!', ['apple red', 'red apple']],
      ['--red', ['green apple']],
      ['- red', ['apple red', 'red apple', 'red pear']],
      ['"red', ['apple red', 'red apple', 'red pear']],
      ['"red apple', ['red apple']],
      ['red" apple', ['apple red', 'red apple']],
      ['red"apple"', ['apple red', 'red apple']],
      ['"" red pear ""', ['red pear']],
      ['red & pear', ['red pear']],
      ['red | pear', ['red pear']],
      ['red <-> pear', ['red pear']],
      ['!red', ['apple red', 'red apple', 'red pear']],
      ['red:*', ['apple red', 'red apple', 'red pear']],
      ['re:*', []],
      ["red'", ['apple red', 'red apple', 'red pear']],
      ['red\\', ['apple red', 'red apple', 'red pear']],
      ['(red) {pear}', ['red pear']],
      ['or red pear', []],
      ['red pear or', []],
      ['red -red', []],
    ];
    for (const [text, messages] of expected) expect([text, await finds(text)]).toEqual([text, messages]);
  });

  it.each([
    ...[
      '',
      ' ',
      '\t\n',
      '"',
      '""',
      '-',
      '--',
      '- -',
      '-""',
      '&|!():*<->',
      '\\',
      '\\\\',
      "'",
      '...',
      '🚀',
      '\u202e',
      '%',
    ],
    ...['\0', 'word\0', '＂'],
  ])('refuses “%s”', async (text) => {
    expectInvalid(await search(text), 'q');
  });

  it('refuses to be given twice', async () => {
    expectInvalid(await send('GET', `${api.url}/api/events?q=a&q=a`), 'q');
  });

  it('takes 1000 characters and no more', async () => {
    await createEvent(api, { message: 'needle' });
    for (const character of ['x', '😀', ' ', '"', '-']) {
      const text = `needle${character.repeat(994)}`;
      expect((await search(text)).status).toBe(200);
      expectInvalid(await search(`${text}${character}`), 'q');
    }
    expect(await finds(Array.from({ length: 250 }, () => 'or').join(' ') + ' needle')).toEqual(['needle']);
    expect(await finds(Array.from({ length: 200 }, (_, index) => index % 10).join(' or '))).toEqual([]);
  });

  // A search is opened up at all ASCII punctuation; the column only where PostgreSQL's parser would join.
  it('makes the same words of a message as if it was opened up at all punctuation', async () => {
    const pieces = fc.oneof(
      fc.constantFrom(...'!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~aB10éе😀部 \t'),
      fc.constantFrom(...['www', 'com', 'http', '2.5', 'e5', '%20', 'foo', '-1', '&lt', '<b', 'a@b.c', 'x_y']),
    );
    const messages = fc.sample(fc.array(pieces, { minLength: 1, maxLength: 12 }), 10_000).map((some) => some.join(''));
    await api.sql(
      `INSERT INTO system_events (event_type, severity, message) SELECT 't', 'info', m FROM unnest($1::text[]) AS m`,
      [messages],
    );
    const different = await api.sql(
      `SELECT message, search FROM system_events
       WHERE search <> to_tsvector('simple', translate(message, $1, repeat(' ', length($1))))`,
      ['!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'],
    );
    expect(different).toEqual([]);
  });

  it('reads the longest messages', async () => {
    const one = 'x'.repeat(65_536);
    const words = Array.from({ length: 65_536 / 4 + 1 }, (_, index) =>
      (index % 1296).toString(36).padStart(2, '0'),
    ).join(' ');
    const many = `first-name ${words.slice(0, 65_000)} lastword`;
    expect(many.split(' ').length).toBeGreaterThan(16_383);
    const distinct = Array.from({ length: 13_000 }, (_, index) => String.fromCodePoint(0x4e00 + index)).join(' ');
    for (const [message, text] of [
      [one, undefined],
      [many, 'lastword'],
      [many, 'first-name'],
      [distinct, '\u4e00'],
      ['é'.repeat(65_536), undefined],
      ['İ '.repeat(32_768), 'İ'],
      ['-'.repeat(65_536), undefined],
    ] as const) {
      const { body } = await createEvent(api, { message });
      if (text !== undefined) {
        const found = await search(text);
        expect(found.body.map(({ id }) => id)).toContain(body.id);
      }
    }
  });

  it('follows every change of a message', async () => {
    const { body } = await createEvent(api, { message: 'before' });
    const url = `${api.url}/api/events/${body.id}`;
    expect(await finds('before')).toEqual(['before']);
    await send('PATCH', url, { json: { severity: 'error' } });
    expect(await finds('before')).toEqual(['before']);
    await send('PATCH', url, { json: { message: 'after' } });
    expect([await finds('before'), await finds('after')]).toEqual([[], ['after']]);
    await send('DELETE', url);
    expect(await finds('after')).toEqual([]);
  });

  it('finds what is frequent, what is rare and what is old, in both orders and on every page', async () => {
    await api.sql(
      `INSERT INTO system_events (event_type, severity, message, details, "timestamp")
       SELECT 'made', 'info',
              'request ' || n || CASE WHEN n % 3000 = 7 THEN ' needle' ELSE '' END || CASE WHEN n < 300 THEN ' old' ELSE '' END,
              jsonb_build_object('n', n % 3000, 'even', n % 2 = 0),
              '2026-01-01Z'::timestamptz + n / 10 * interval '1 second'
       FROM generate_series(0, 29999) AS n`,
    );
    await api.sql('ANALYZE system_events');
    const numbers = async (path: string): Promise<number[]> => {
      const found: number[] = [];
      for (let next: string | null = path; next !== null;) {
        const page: Answer<EventBody[]> = await send('GET', api.url + next);
        expect([next, page.status]).toEqual([next, 200]);
        found.push(...page.body.map(({ message }) => Number(message.split(' ')[1])));
        next = /<(.*)>/.exec(page.headers.get('link') ?? '')?.[1] ?? null;
      }
      return found;
    };
    const all = Array.from({ length: 30_000 }, (_, index) => index);
    for (const [filter, expected] of [
      ['q=needle', all.filter((n) => n % 3000 === 7)],
      ['q=request&limit=1000', all],
      ['q=old&limit=50', all.slice(0, 300)],
      ['q=old+needle', [7]],
      ['q=old&until=2026-01-01T00:00:20Z&limit=70', all.slice(0, 200)],
      ['q=request&since=2026-01-01T00:49:50Z&limit=30', all.slice(29_900)],
      ['q=needle&event_type=made&severity=info&limit=3', all.filter((n) => n % 3000 === 7)],
      ['q=needle&details.even=true', []],
      ['details.n=2999&limit=4', all.filter((n) => n % 3000 === 2999)],
      ['details.n=7&q=old', [7]],
      ['details.n=-1', []],
    ] as const) {
      expect([filter, await numbers(`/api/events?sort=timestamp&${filter}`)]).toEqual([filter, expected]);
      expect([filter, await numbers(`/api/events?${filter}`)]).toEqual([filter, [...expected].reverse()]);
    }
    expect(await numbers('/api/events?q=needle&offset=8')).toEqual([3007, 7]);
    expect(await numbers('/api/events?q=request&offset=29998')).toEqual([1, 0]);
  });
});
