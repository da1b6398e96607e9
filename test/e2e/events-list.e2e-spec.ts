import { createEvent, expectInvalid, nextLink, startEmptyApp, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import type { TestApp } from '../support/test-app';

const MAX_OFFSET = 2 ** 31 - 1;
const ODD_SOURCE = 'a&b=c +%2F/?#é😀"\'<>;,\\';

/** Newest first, ties by id descending. */
const order = (one: EventBody, other: EventBody): number =>
  other.timestamp.localeCompare(one.timestamp) || other.id - one.id;

describe('GET /api/events', () => {
  let api: TestApp;
  let events: EventBody[];

  beforeAll(async () => {
    api = await startEmptyApp();
    events = [];
    // Three times, so that every order of ids within one time and across times occurs.
    for (let index = 0; index < 24; index++) {
      const fields = {
        event_type: ['deployment', 'backup', 'odd/type 100%+'][index % 3],
        severity: ['info', 'warning', 'error', 'critical'][index % 4],
        source: ['api', ODD_SOURCE, null, 'web', 'api'][index % 5],
        timestamp: `2026-01-0${((index * 2) % 3) + 1}T00:00:00.00${index % 2}Z`,
        message: `event ${index}`,
      };
      events.push((await createEvent(api, fields)).body);
    }
    events.sort(order);
  });

  afterAll(() => api.close());

  const list = (query: string): Promise<Answer<EventBody[]>> => send('GET', `${api.url}/api/events${query}`);

  /** The pages from `path` to the last one. */
  async function follow(path: string): Promise<EventBody[][]> {
    const pages: EventBody[][] = [];
    for (let next: string | undefined = path; next !== undefined;) {
      const page: Answer<EventBody[]> = await send('GET', new URL(next, api.url).href);
      expect([next, page.status]).toEqual([next, 200]);
      pages.push(page.body);
      next = nextLink(page);
    }
    return pages;
  }

  it.each(['', '?', '/', '/?limit=100&offset=0'])('answers with an array, the newest first: “%s”', async (query) => {
    const answer = await list(query);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual(events);
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(answer.headers.get('link')).toBeNull();
    expect(answer.headers.get('etag')).toBeNull();
  });

  it('shows an event as it is shown alone, byte for byte', async () => {
    const texts = await Promise.all(
      events.map(async ({ id }) => (await send('GET', `${api.url}/api/events/${id}`)).text),
    );
    expect((await list('')).text).toBe(`[${texts.join(',')}]`);
  });

  it('answers HEAD with the headers alone', async () => {
    const answer = await send('HEAD', `${api.url}/api/events?limit=1`);
    expect([answer.status, answer.text]).toEqual([200, '']);
    expect(nextLink(answer)).toMatch(/^\/api\/events\?limit=1&cursor=[\w-]+$/);
  });

  it.each([1, 5, 8, 23, 24, 25, 1000])('shows every event once, in order, in pages of %i', async (limit) => {
    const pages = await follow(`/api/events?limit=${limit}`);
    expect(pages.flat()).toEqual(events);
    expect(pages).toHaveLength(Math.ceil(24 / limit));
  });

  it.each([
    ['?offset=20', 20, 24],
    ['?limit=3&offset=4', 4, 7],
    ['?offset=3&limit=1', 3, 4],
    ['?limit=0001', 0, 1],
    ['?offset=24', 24, 24],
    [`?offset=${MAX_OFFSET}`, 24, 24],
    [`?limit=1000&offset=${MAX_OFFSET}`, 24, 24],
  ])('answers %s with a slice', async (query, start, end) => {
    const answer = await list(query);
    expect(answer.body).toEqual(events.slice(start, end));
    expect(nextLink(answer) !== undefined).toBe(end < 24);
  });

  it.each<[string, (event: EventBody) => boolean]>([
    ['event_type=backup', ({ event_type }) => event_type === 'backup'],
    ['event_type=backup&event_type=deployment', ({ event_type }) => event_type !== 'odd/type 100%+'],
    ['event_type=odd%2Ftype+100%25%2B', ({ event_type }) => event_type === 'odd/type 100%+'],
    ['severity=error', ({ severity }) => severity === 'error'],
    ['severity=error&severity=critical&severity=error', ({ severity }) => /error|critical/.test(severity)],
    ['source=api', ({ source }) => source === 'api'],
    [`source=${encodeURIComponent(ODD_SOURCE)}&source=web`, ({ source }) => source === ODD_SOURCE || source === 'web'],
    [
      'event_type=backup&severity=info&severity=error&source=api&source=web',
      ({ event_type, severity, source }) =>
        event_type === 'backup' && /info|error/.test(severity) && /api|web/.test(source ?? ''),
    ],
    ['event_type=Backup', () => false],
    ['event_type=back%25', () => false],
    ['source=nobody', () => false],
  ])('filters by %s, on every page', async (filter, matches) => {
    const pages = await follow(`/api/events?${filter}&limit=2`);
    expect(pages.flat()).toEqual(events.filter(matches));
  });

  it.each(['event_type', 'source'])('takes SQL in %s for what it is, text', async (name) => {
    for (const text of ["' OR '1'='1", "'; DROP TABLE system_events; --", '%', '_', ':limit', '$1', '\\', '{}', '"']) {
      const answer = await list(`?${name}=${encodeURIComponent(text)}`);
      expect([text, answer.status, answer.body]).toEqual([text, 200, []]);
    }
    expect((await list('')).body).toHaveLength(24);
  });

  it('takes 100 values of one filter, and no more', async () => {
    const values = Array.from({ length: 100 }, (_, index) => `event_type=t${index}`).join('&');
    expect((await list(`?${values}`)).body).toEqual([]);
    expectInvalid(await list(`?${values}&event_type=one-more`), 'event_type');
  });

  it.each([
    ['event_type', 100],
    ['source', 200],
  ])('takes a %s of up to %i characters', async (name, max) => {
    for (const character of ['x', 'é', '😀']) {
      const value = encodeURIComponent(character.repeat(max));
      expect((await list(`?${name}=${value}`)).body).toEqual([]);
      expectInvalid(await list(`?${name}=${value}${encodeURIComponent(character)}`), name);
    }
  });

  it.each([
    ...['limit=0', 'limit=1001', 'limit=-1', 'limit=1e3', 'limit=1.5', 'limit=abc', 'limit=', 'limit', 'limit=0x10'],
    ...['limit=%201', 'limit=+1', 'limit=1%00', 'limit=null', 'limit=99999999999999999999', 'limit=٣', 'limit=1,2'],
    ...['limit=1&limit=2', 'limit=1&limit=1', "limit=1'; DROP TABLE system_events; --"],
    ...[
      'offset=-1',
      `offset=${MAX_OFFSET + 1}`,
      'offset=1e3',
      'offset=',
      'offset=1&offset=1',
      'offset=9007199254740993',
    ],
    ...['severity=fatal', 'severity=', 'severity=info&severity=', 'severity=INFO', "severity=info' OR 1=1 --"],
    ...['event_type=', 'event_type', 'event_type=a&event_type=', 'event_type=a%00', 'source=', 'source=%00'],
    ...['limits=1', 'event_type[]=a', 'event_type[x]=a', 'page=2', 'LIMIT=1', 'q=', '=', '=x', 'x'],
    ...['__proto__=x', 'constructor=x', 'toString=x', 'hasOwnProperty=x', '__proto__[limit]=1'],
  ])('answers 422 to ?%s', async (query) => {
    expectInvalid(await list(`?${query}`), decodeURIComponent(query.split(/[=&]/, 1)[0] ?? ''));
  });

  it('names every parameter that is wrong', async () => {
    const answer = await list('?limit=0&offset=-1&severity=fatal&colour=red');
    expectInvalid(answer, 'colour', 'limit', 'offset', 'severity');
  });
});

describe('a page of large events', () => {
  it('ends early, and the next ones have the rest', async () => {
    const api = await startEmptyApp();
    try {
      // The longest that the rules allow: each of these characters is six in JSON.
      await api.sql(
        `INSERT INTO system_events (event_type, severity, message)
         SELECT 'large', 'info', repeat(chr(1), 65536) FROM generate_series(1, 150)`,
      );
      for (const path of ['/api/events?limit=1000', '/api/events/type/large', '/api/events/type/large']) {
        const ids: number[] = [];
        const lengths: number[] = [];
        for (let next: string | undefined = path; next !== undefined;) {
          const page: Answer<EventBody[]> = await send('GET', new URL(next, api.url).href);
          expect(page.status).toBe(200);
          ids.push(...page.body.map(({ id }) => id));
          lengths.push(page.text.length);
          next = nextLink(page);
        }
        const [newest = 0] = ids;
        expect(ids).toEqual(Array.from({ length: 150 }, (_, index) => newest - index));
        expect(lengths.length).toBeGreaterThan(2);
        expect(Math.max(...lengths)).toBeLessThan(17 * 1024 * 1024);
      }
    } finally {
      await api.close();
    }
  });
});
