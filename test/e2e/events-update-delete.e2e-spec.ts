import { request } from 'node:http';
import {
  countEvents,
  createEvent,
  expectInvalid,
  expectProblem,
  startEmptyApp,
  TIME,
  type EventBody,
} from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';

const FULL = {
  event_type: 'deployment',
  severity: 'info',
  message: 'api 1.4.2 is live',
  details: { b: 1, a: [1, { c: null }] },
  source: 'api',
  timestamp: '2026-01-31T09:30:00.123Z',
};

describe('changing and deleting an event', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterAll(() => api.close());

  const urlOf = (id: number): string => `${api.url}/api/events/${id}`;

  /** A stored event that was read once, so that it is in the cache. */
  async function cachedEvent(): Promise<{ event: EventBody; url: string; text: string }> {
    const { body, text } = await createEvent(api, FULL);
    await send('GET', urlOf(body.id));
    return { event: body, url: urlOf(body.id), text };
  }

  async function versionOf({ id }: EventBody): Promise<string | undefined> {
    const [row] = await api.sql<{ version: string }>('SELECT version FROM system_events WHERE id = $1', [id]);
    return row?.version;
  }

  describe.each(['PUT', 'PATCH'])('%s', (method) => {
    it.each<[string, Record<string, unknown>, Record<string, unknown>?]>([
      ['event_type', { event_type: 'rollback' }],
      ['severity', { severity: 'critical' }],
      ['message', { message: 'slow' }],
      ['details', { details: { new: [1.5, 'x', { toString: 'kept' }] } }],
      ['details to {}', { details: {} }],
      ['source', { source: 'web' }],
      ['source to nothing', { source: '' }],
      ['timestamp', { timestamp: '2026-02-01T00:00:00+01:00' }, { timestamp: '2026-01-31T23:00:00.000Z' }],
      ['all', { ...FULL, event_type: 'x', severity: 'error', message: 'y', details: { z: 1 }, source: 'w' }],
      ['details by null', { details: null }],
      ['source by null', { source: null }],
    ])('changes %s and nothing else, and every read sees it at once', async (_name, changes, expected = changes) => {
      const { event, url } = await cachedEvent();
      const changed = await send<EventBody>(method, url, { json: changes });
      expect([changed.status, changed.body]).toEqual([
        200,
        { ...event, ...expected, updated_at: expect.stringMatching(TIME) as string },
      ]);
      expect(changed.body.updated_at >= event.updated_at).toBe(true);
      expect(changed.headers.get('etag')).toBe(`"${event.id}-2"`);
      expect(changed.headers.get('content-type')).toBe('application/json; charset=utf-8');
      for (const read of ['loaded', 'cached']) {
        const answer = await send('GET', url);
        expect([read, answer.text]).toEqual([read, changed.text]);
        expect(answer.headers.get('etag')).toBe(`"${event.id}-2"`);
      }
      const [listed] = (await send<EventBody[]>('GET', `${api.url}/api/events?limit=1000`)).body.filter(
        ({ id }) => id === event.id,
      );
      expect(listed).toEqual(changed.body);
    });

    it('moves updated_at on with every change, and created_at never', async () => {
      const { event, url } = await cachedEvent();
      await api.sql(`UPDATE system_events SET updated_at = '2026-01-01Z', created_at = '2026-01-01Z' WHERE id = $1`, [
        event.id,
      ]);
      const { body } = await send<EventBody>(method, url, { json: { message: 'x' } });
      expect(body.created_at).toBe('2026-01-01T00:00:00.000Z');
      expect(body.updated_at >= event.updated_at).toBe(true);
    });

    it('counts a version up at every change', async () => {
      const { event, url } = await cachedEvent();
      for (const version of [2, 3, 4]) {
        const { headers } = await send(method, url, { json: { message: 'the same each time' } });
        expect(headers.get('etag')).toBe(`"${event.id}-${version}"`);
      }
      expect(await versionOf(event)).toBe('4');
    });

    it('changes nothing for {}', async () => {
      const { event, url, text } = await cachedEvent();
      const answer = await send(method, url, { json: {} });
      expect([answer.status, answer.text]).toEqual([200, text]);
      expect(answer.headers.get('etag')).toBe(`"${event.id}-1"`);
      expect((await send('GET', url)).text).toBe(text);
      expect(await versionOf(event)).toBe('1');
    });

    it('ignores a trailing slash', async () => {
      const { url } = await cachedEvent();
      expect(await send(method, `${url}/`, { json: { message: 'x' } })).toMatchObject({ body: { message: 'x' } });
    });

    it.each<[string, Record<string, unknown>, string]>([
      ['event_type null', { event_type: null }, '#/event_type'],
      ['severity null', { severity: null }, '#/severity'],
      ['message null', { message: null }, '#/message'],
      ['timestamp null', { timestamp: null }, '#/timestamp'],
      ['event_type of 0', { event_type: '' }, '#/event_type'],
      ['event_type of 101', { event_type: '😀'.repeat(101) }, '#/event_type'],
      ['a wrong severity', { severity: 'fatal' }, '#/severity'],
      ['message of 0', { message: '' }, '#/message'],
      ['message of 65,537', { message: 'x'.repeat(65_537) }, '#/message'],
      ['source of 201', { source: 'x'.repeat(201) }, '#/source'],
      ['source a number', { source: 1 }, '#/source'],
      ['details an array', { details: [] }, '#/details'],
      ['details over 256 KiB', { details: { a: 'x'.repeat(256 * 1024) } }, '#/details'],
      ['a time without a zone', { timestamp: '2026-01-31T09:30:00' }, '#/timestamp'],
      ['30 February', { timestamp: '2026-02-30T00:00:00Z' }, '#/timestamp'],
      ['an unknown field', { colour: 'red' }, '#/colour'],
      ['the id', { id: 1 }, '#/id'],
      ['the version', { version: 1 }, '#/version'],
      ['updated_at', { updated_at: '2026-01-31T09:30:00Z' }, '#/updated_at'],
      ['toString', { toString: 1 }, '#/toString'],
    ])('refuses %s and changes nothing', async (_name, changes, pointer) => {
      const { event, url, text } = await cachedEvent();
      expectInvalid(await send(method, url, { json: { message: 'new', ...changes } }), pointer);
      expect((await send('GET', url)).text).toBe(text);
      expect(await versionOf(event)).toBe('1');
    });
  });

  describe('DELETE', () => {
    it.each<[string, Record<string, string>]>([
      ['plain', {}],
      ['with a JSON content type', { 'content-type': 'application/json' }],
      ['with a JSON content type and length 0', { 'content-type': 'application/json', 'content-length': '0' }],
      ['with length 0', { 'content-length': '0' }],
      ['with a JSON content type in no chunks', { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }],
    ])('answers 204 without a body: %s', async (_name, headers) => {
      const { url } = await cachedEvent();
      const before = await countEvents(api);
      const { status, type, body } = await rawDelete(url, headers);
      expect([status, type, body]).toEqual([204, undefined, '']);
      expect(await countEvents(api)).toBe(before - 1);
      expectProblem(await send('GET', url), 404);
      expectProblem(await send('GET', url, { headers: { 'if-none-match': '*' } }), 404);
      expect((await send('HEAD', url)).status).toBe(404);
    });

    it('ignores a trailing slash and a JSON body', async () => {
      const { url } = await cachedEvent();
      expect((await send('DELETE', `${url}/`, { json: { reason: 'none' } })).status).toBe(204);
    });

    it('answers 404 the second time, and to every other use', async () => {
      const { event, url } = await cachedEvent();
      expect((await send('DELETE', url)).status).toBe(204);
      for (const [method, json] of [['DELETE'], ['GET'], ['PUT', {}], ['PATCH', { message: 'x' }]] as const) {
        expect(expectProblem(await send(method, url, { json }), 404).detail).toBe(`Event ${event.id} not found`);
      }
    });

    it('deletes one event and no other', async () => {
      const [one, other] = [await cachedEvent(), await cachedEvent()];
      await send('DELETE', one.url);
      expect((await send('GET', other.url)).text).toBe(other.text);
    });

    it('lets one of several at once succeed', async () => {
      const { url } = await cachedEvent();
      const answers = await Promise.all([1, 2, 3, 4].map(() => send('DELETE', url)));
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404, 404]);
    });
  });

  it('never shows what was before an acknowledged change, while others read', async () => {
    const { event, url } = await cachedEvent();
    let reading = true;
    const readers = [1, 2, 3].map(async () => {
      while (reading) await send('GET', url);
    });
    for (let round = 0; round < 50; round++) {
      await send('PUT', url, { json: { message: `round ${round}` } });
      const { headers, body } = await send<EventBody>('GET', url);
      expect([body.message, headers.get('etag')]).toEqual([`round ${round}`, `"${event.id}-${round + 2}"`]);
    }
    await send('DELETE', url);
    expect((await send('GET', url)).status).toBe(404);
    reading = false;
    await Promise.all(readers);
  });
});

/** With exactly these headers: fetch would add its own. */
function rawDelete(
  url: string,
  headers: Record<string, string>,
): Promise<{ status: number | undefined; type: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    request(url, { method: 'DELETE', headers, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode, type: response.headers['content-type'], body }));
    })
      .on('error', reject)
      .end();
  });
}
