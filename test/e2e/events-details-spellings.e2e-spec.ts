import { createEvent, expectInvalid, nextLink, startEmptyApp, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import { requestRaw } from '../support/raw-http';
import type { TestApp } from '../support/test-app';

/** One condition on details can be written in three ways, so that every client has one that it can send. */
describe('the spellings of a filter by details', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
    await createEvent(api, { message: 'slow', details: { http: { status: 504 }, region: 'eu' } });
    await createEvent(api, { message: 'fine', details: { http: { status: 200 }, region: 'us' } });
    await createEvent(api, {
      message: 'dotted',
      details: { 'http.status': 504, a: { 'b.c': { d: 'e' } }, '': 'none' },
    });
    await createEvent(api, { message: 'odd', details: { 'a=b': 1, '"q"': 2, 'x][y': 3, 'z]': 4 } });
  });

  afterAll(() => api.close());

  const list = (...parameters: [name: string, value: string][]): Promise<Answer<EventBody[]>> =>
    send('GET', `${api.url}/api/events?${new URLSearchParams(parameters).toString()}`);

  async function messages(...parameters: [name: string, value: string][]): Promise<string[]> {
    const { status, body, text } = await list(...parameters);
    expect([status, text]).toEqual([200, expect.any(String)]);
    return body.map(({ message }) => message).sort();
  }

  /** The same condition in each of its spellings. */
  const spellings = (path: string, value: string): [string, string][] => [
    [`details.${path}`, value],
    [`details[${path}]`, value],
    ['detail', `${path}=${value}`],
  ];

  it.each([
    ['http.status', '504', ['slow']],
    ['"http".status', '504', ['slow']],
    ['"http.status"', '504', ['dotted']],
    ['a."b.c".d', 'e', ['dotted']],
    ['""', 'none', ['dotted']],
    ['"a=b"', '1', ['odd']],
    ['"""q"""', '2', ['odd']],
    ['"x][y"', '3', ['odd']],
    ['z]', '4', ['odd']],
    ['region', 'asia', []],
  ])('%s with %s finds the same in each', async (path, value, expected) => {
    for (const spelling of spellings(path, value))
      expect([spelling, await messages(spelling)]).toEqual([spelling, expected]);
  });

  it('are one condition where they name one path: any of its values, all of the paths', async () => {
    expect(await messages(['details.http.status', '504'], ['details[http.status]', '200'])).toEqual(['fine', 'slow']);
    expect(await messages(['detail', 'http.status=504'], ['details["http".status]', '200'])).toEqual(['fine', 'slow']);
    expect(await messages(['detail', 'http.status=504'], ['detail', 'http.status=200'])).toEqual(['fine', 'slow']);
    expect(await messages(['details[http.status]', '504'], ['details[region]', 'us'])).toEqual([]);
    expect(await messages(['detail', 'http.status=504'], ['detail', 'region=eu'])).toEqual(['slow']);
  });

  it('share a cursor, and the next page keeps the spelling', async () => {
    const [first, ...others] = spellings('"http".status', '504');
    await createEvent(api, { message: 'slow too', details: { http: { status: '504' } } });
    const page = await list(first!, ['limit', '1']);
    const cursor = new URL(nextLink(page) ?? '', api.url).searchParams.get('cursor') ?? '';
    for (const spelling of [...others, ...spellings('http.status', '504')]) {
      expect(await messages(spelling, ['cursor', cursor])).toEqual(['slow']);
    }
    expectInvalid(await list(['details[http.status]', '200'], ['cursor', cursor]), 'cursor');
    const raw = await requestRaw(api.url, 'GET', '/api/events?details[http.status]=504&limit=1');
    expect(raw.status).toBe(200);
    expect(JSON.stringify(raw)).toMatch(/<\/api\/events\?details%5Bhttp\.status%5D=504&limit=1&cursor=[\w-]+>/);
  });

  it('share the limits: 20 paths, 100 values of a path, 32 steps, 1000 characters', async () => {
    const paths = Array.from({ length: 21 }, (_, index) => `k${index}`);
    const mixed = paths.map((path, index) => spellings(path, '1')[index % 3]!);
    const texts = mixed.filter(([name]) => name === 'detail').length;
    expect(texts).toBe(7);
    expect(await messages(...mixed.slice(0, 20))).toEqual([]);
    // As many texts as there are come at the place of the first one.
    expectInvalid(await list(...mixed), 'details[k19]');
    expectInvalid(await list(...paths.map((path) => spellings(path, '1')[1]!)), 'details[k20]');
    expectInvalid(await list(...paths.map((path) => spellings(path, '1')[2]!)), 'detail');
    const values = Array.from({ length: 101 }, (_, index) => `${index}`);
    for (const spelling of [0, 1, 2]) {
      const given = values.map((value) => spellings('k', value)[spelling]!);
      expect(await messages(...given.slice(1))).toEqual([]);
      expectInvalid(await list(...given), given[0]![0]);
      expectInvalid(
        await list(...given.slice(1), spellings('k', 'x')[(spelling + 1) % 3]!),
        expect.any(String) as string,
      );
    }
    const deep = Array.from({ length: 32 }, () => 'k').join('.');
    for (const spelling of spellings(deep, 'x'.repeat(1000))) expect(await messages(spelling)).toEqual([]);
    for (const spelling of spellings(`${deep}.k`, '1')) expectInvalid(await list(spelling), spelling[0]);
    for (const spelling of spellings('k', 'x'.repeat(1001))) expectInvalid(await list(spelling), spelling[0]);
    for (const spelling of spellings('k', '')) expectInvalid(await list(spelling), spelling[0]);
    for (const spelling of spellings('a\0b', '1')) expectInvalid(await list(spelling), spelling[0]);
  });

  it.each([
    ['details', '[object Object]'],
    ['details', '{"http.status":"504"}'],
    ['details', ''],
  ])('say what to send instead of %s=%s', async (name, value) => {
    const [error] = expectInvalid(await list([name, value]), 'details').errors ?? [];
    expect(error?.detail).toBe(
      'details must name a path: details.a.b=1 or details[a.b]=1, or detail=a.b=1 from a client that sends an object as text',
    );
  });

  it.each([
    ['details[]', '1'],
    ['details[', '1'],
    ['details[a', '1'],
    ['details[a]b', '1'],
    ['details[a.]', '1'],
    ['details[a][b]', '1'],
    ['details[a][]', '1'],
    ['details["a]', '1'],
    ['details["a"b]', '1'],
    ['detail', 'http.status'],
    ['detail', '[object Object]'],
    ['detail', ''],
    ['detail', '=1'],
    ['detail', 'a='],
    ['detail.a', '1'],
    ['detail[a]', '1'],
    ['detail[]', 'a=1'],
  ])('refuse %s=%s', async (name, value) => {
    expectInvalid(await list([name, value]), name);
  });

  it('hold wherever there are filters', async () => {
    for (const [name, value] of spellings('"http.status"', '504')) {
      const query = new URLSearchParams([[name, value]]).toString();
      const facets = await send<{ total: number }>('GET', `${api.url}/api/events/facets?${query}`);
      expect([name, facets.body.total]).toEqual([name, 1]);
      const series = await send<{ series: { total: number }[] }>('GET', `${api.url}/api/events/timeseries?${query}`);
      expect([name, series.body.series[0]?.total]).toEqual([name, 1]);
      const exported = await send('GET', `${api.url}/api/events/export?${query}`);
      expect([name, exported.text.trim().split('\n').length]).toEqual([name, 1]);
      const deletion = await send<{ deleted: number }>('DELETE', `${api.url}/api/events?${query}&dry_run=true`);
      expect([name, deletion.body]).toEqual([name, { deleted: 1 }]);
    }
  });
});
