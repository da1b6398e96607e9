import { createEvent, expectInvalid, expectProblem, startEmptyApp, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import type { TestApp } from '../support/test-app';

describe('GET /api/events/{id}', () => {
  let api: TestApp;
  let created: Answer<EventBody>;
  let url: string;
  let etag: string;

  beforeAll(async () => {
    api = await startEmptyApp();
    created = await createEvent(api, { details: { n: 1 }, source: 'api' });
    url = `${api.url}/api/events/${created.body.id}`;
    etag = `"${created.body.id}-1"`;
  });

  afterAll(() => api.close());

  it.each(['', '/'])('answers with the event and its version, path ending in “%s”', async (ending) => {
    const answer = await send('GET', url + ending);
    expect([answer.status, answer.text]).toEqual([200, created.text]);
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(answer.headers.get('etag')).toBe(etag);
  });

  it('answers HEAD with the same headers and no body', async () => {
    const [get, head] = [await send('GET', url), await send('HEAD', url)];
    expect([head.status, head.text]).toEqual([200, '']);
    for (const name of ['etag', 'content-type', 'content-length']) {
      expect([name, head.headers.get(name)]).toEqual([name, get.headers.get(name)]);
    }
  });

  it.each([
    ['itself', () => etag],
    ['its weak form', () => `W/${etag}`],
    ['a list', () => `"x", ${etag}`],
    ['a list without spaces', () => `W/"0-0",${etag},"y"`],
    ['a list with a comma in a tag', () => `"x,y", W/${etag}`],
    ['a star', () => '*'],
  ])('answers 304 without a body to If-None-Match: %s', async (_name, header) => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await send(method, url, { headers: { 'if-none-match': header() } });
      expect([method, answer.status, answer.text]).toEqual([method, 304, '']);
      expect(answer.headers.get('etag')).toBe(etag);
      expect(answer.headers.get('content-type')).toBeNull();
    }
  });

  it.each([
    ['another version', () => etag.replace('-1"', '-2"')],
    ['another event', () => '"0-1"'],
    ['a longer tag', () => etag.replace('-1"', '-11"')],
    ['no quotes', () => etag.slice(1, -1)],
    ['nonsense', () => '"'],
    ['a list of others', () => '"x", W/"y"'],
    ['a quoted star', () => '"*"'],
  ])('answers 200 to If-None-Match: %s', async (_name, header) => {
    const answer = await send('GET', url, { headers: { 'if-none-match': header() } });
    expect([answer.status, answer.text]).toEqual([200, created.text]);
  });

  it('answers 200 with a new entity tag once the event has changed', async () => {
    const { body } = await createEvent(api);
    const changed = await send('PATCH', `${api.url}/api/events/${body.id}`, { json: { message: 'changed' } });
    const headers = { 'if-none-match': `"${body.id}-1"` };
    const answer = await send('GET', `${api.url}/api/events/${body.id}`, { headers });
    expect([answer.status, answer.text]).toEqual([200, changed.text]);
    expect(answer.headers.get('etag')).toBe(`"${body.id}-2"`);
  });

  it.each([
    ['5000', '5000'],
    ['0', '0'],
    ['9007199254740991', '9007199254740991'],
    ['9007199254740992', '9007199254740992'],
    ['9007199254740993', '9007199254740993'],
    ['9223372036854775808', '9223372036854775808'],
    ['9'.repeat(5000), '9'.repeat(20)],
  ])('answers 404 for an event that is not there, id %s', async (id, shown) => {
    for (const [method, json] of [['GET'], ['HEAD'], ['PUT', {}], ['PATCH', { message: 'x' }], ['DELETE']] as const) {
      const answer = await send(method, `${api.url}/api/events/${id}`, { json });
      expect([method, answer.status]).toEqual([method, 404]);
      if (method === 'HEAD') expect(answer.text).toBe('');
      else expect(expectProblem(answer, 404).detail).toBe(`Event ${shown} not found`);
    }
  });

  it.each([
    ...['abc', '-1', '+1', '1.5', '1e3', '0x10', '1_000', '%201', '1%20', '1%00', 'NaN', 'Infinity', '٣', '１'],
    ...["1'; DROP TABLE system_events; --", '1 OR 1=1', 'type', '__proto__', 'constructor', 'null'],
  ])('answers 422 for the id “%s”', async (id) => {
    for (const [method, json] of [['GET'], ['PUT', {}], ['PATCH', {}], ['DELETE']] as const) {
      expectInvalid(await send(method, `${api.url}/api/events/${id}`, { json }), 'id');
    }
    expect((await send('HEAD', `${api.url}/api/events/${id}`)).status).toBe(422);
  });

  it.each(['verbose=1', 'limit=1', 'id=1', 'x', '=', 'a=&b=', '__proto__=x', 'constructor=x'])(
    'answers 422 to the unknown parameter ?%s',
    async (query) => {
      const names = [...new URLSearchParams(query).keys()];
      for (const [method, json] of [['GET'], ['PUT', {}], ['PATCH', {}], ['DELETE']] as const) {
        expectInvalid(await send(method, `${url}?${query}`, { json }), ...names);
      }
      expect((await send('GET', url)).text).toBe(created.text);
    },
  );
});
