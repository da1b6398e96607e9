import { createEvent, expectProblem, startEmptyApp } from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';

describe('If-Match', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterAll(() => api.close());

  /** An event changed once: its entity tag ends in 2. */
  async function secondVersion(): Promise<{ id: number; url: string; text: string }> {
    const { id } = (await createEvent(api)).body;
    const url = `${api.url}/api/events/${id}`;
    return { id, url, text: (await send('PATCH', url, { json: { message: 'second' } })).text };
  }

  const operations: [method: string, json: unknown, status: number][] = [
    ['PUT', { message: 'third' }, 200],
    ['PATCH', { message: 'third' }, 200],
    ['PATCH', {}, 200],
    ['DELETE', undefined, 204],
  ];

  describe.each(operations)('%s %j', (method, json, status) => {
    it.each<[string, (id: number) => string]>([
      ['the entity tag', (id) => `"${id}-2"`],
      ['a star', () => '*'],
      ['a list', (id) => `"${id}-1", "${id}-2"`],
      ['a list without spaces', (id) => `W/"x","${id}-2","y"`],
    ])('goes on when it holds: %s', async (_name, header) => {
      const { id, url } = await secondVersion();
      expect((await send(method, url, { json, headers: { 'if-match': header(id) } })).status).toBe(status);
    });

    it.each<[string, (id: number) => string]>([
      ['an older version', (id) => `"${id}-1"`],
      ['a newer version', (id) => `"${id}-3"`],
      ['the weak form, which never matches', (id) => `W/"${id}-2"`],
      ['another event', (id) => `"${id + 1}-2"`],
      ['a list of others', (id) => `"${id}-1", W/"${id}-2", "x"`],
      ['no quotes', (id) => `${id}-2`],
      ['a quoted star', () => '"*"'],
      ['nonsense', () => '"'],
      ['SQL', () => `"' OR 1=1 --"`],
    ])('answers 412 and changes nothing when it does not: %s', async (_name, header) => {
      const { id, url, text } = await secondVersion();
      const answer = await send(method, url, { json, headers: { 'if-match': header(id) } });
      const { detail } = expectProblem(answer, 412);
      expect(detail).toBe(`Event ${id} was changed meanwhile; read it again.`);
      expect((await send('GET', url)).text).toBe(text);
    });

    it('is 404 without an event', async () => {
      const { url } = await secondVersion();
      await send('DELETE', url);
      expectProblem(await send(method, url, { json, headers: { 'if-match': '*' } }), 404);
    });
  });

  it.each([
    ['PATCH', 'PATCH'],
    ['PUT', 'PATCH'],
    ['PATCH', 'DELETE'],
  ])('lets exactly one of %s and %s at once win', async (...methods) => {
    for (let round = 0; round < 10; round++) {
      const { id, url } = await secondVersion();
      const headers = { 'if-match': `"${id}-2"` };
      const answers = await Promise.all(
        methods.map((method) =>
          send(method, url, { headers, json: method === 'DELETE' ? undefined : { message: method } }),
        ),
      );
      const [won, lost] = answers.map(({ status }) => status).sort((one, other) => one - other);
      expect([won === 200 || won === 204, lost === 412 || lost === 404]).toEqual([true, true]);
    }
  });

  it('loses no change made with the entity tag of the last read', async () => {
    const { id, url } = await secondVersion();
    const increment = async (): Promise<void> => {
      for (let status = 412; status === 412;) {
        const read = await send<{ details: { count?: number } | null }>('GET', url);
        const json = { details: { count: (read.body.details?.count ?? 0) + 1 } };
        ({ status } = await send('PATCH', url, { json, headers: { 'if-match': read.headers.get('etag') ?? '' } }));
      }
    };
    await Promise.all(Array.from({ length: 8 }, increment));
    const answer = await send('GET', url);
    expect(answer.body).toMatchObject({ details: { count: 8 } });
    expect(answer.headers.get('etag')).toBe(`"${id}-10"`);
  });
});
