import { createEvent, expectInvalid, expectProblem, startEmptyApp, type EventBody } from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';

/** What clients of the earlier backend send and rely on. */
describe('earlier clients', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterAll(() => api.close());

  it('create, with or without a trailing slash, and find the id in the body', async () => {
    for (const ending of ['', '/']) {
      const json = {
        event_type: 'health_check',
        severity: 'info',
        message: 'all well',
        details: { ok: true },
        source: 'monitor',
      };
      const created = await send<EventBody>('POST', `${api.url}/api/events${ending}`, { json });
      expect(created).toMatchObject({ status: 201, body: json });
      expect(Number.isSafeInteger(created.body.id)).toBe(true);
    }
  });

  it('send times as Python writes them', async () => {
    const { body } = await createEvent(api, { timestamp: '2025-06-01T12:00:00.123456+00:00' });
    expect(body.timestamp).toBe('2025-06-01T12:00:00.123Z');
    expect(new Date(body.created_at).getTime()).toBeGreaterThan(0);
  });

  it('list bare arrays, filter and page', async () => {
    for (const path of ['', '/', '?limit=10&offset=0', '?event_type=health_check&severity=info&source=monitor']) {
      const answer = await send<EventBody[]>('GET', `${api.url}/api/events${path}`);
      expect([answer.status, Array.isArray(answer.body), answer.body.length > 0]).toEqual([200, true, true]);
    }
    const byType = await send<EventBody[]>('GET', `${api.url}/api/events/type/health_check?limit=1&offset=0`);
    expect(byType.body).toHaveLength(1);
  });

  it('read statistics by their earlier names', async () => {
    const { body } = await send('GET', `${api.url}/api/events/stats`);
    expect(body).toEqual({
      total_events: expect.any(Number) as number,
      events_by_severity: expect.any(Object) as object,
      events_by_type: expect.any(Object) as object,
      recent_events: expect.any(Number) as number,
      last_event_timestamp: expect.any(String) as string,
    });
  });

  it('update a part by PUT', async () => {
    const { body } = await createEvent(api, { details: { kept: true }, source: 'kept' });
    const answer = await send('PUT', `${api.url}/api/events/${body.id}`, { json: { severity: 'warning' } });
    expect(answer).toMatchObject({
      status: 200,
      body: { severity: 'warning', details: { kept: true }, source: 'kept' },
    });
  });

  it('delete with a JSON content type, get 204, and 404 with a sentence after it', async () => {
    const { id } = (await createEvent(api)).body;
    const headers = { 'content-type': 'application/json' };
    expect(await send('DELETE', `${api.url}/api/events/${id}`, { headers })).toMatchObject({ status: 204, text: '' });
    const gone = await send('GET', `${api.url}/api/events/${id}`);
    expect(gone).toMatchObject({ status: 404, body: { detail: `Event ${id} not found` } });
  });

  it('find at / what the service is and where things are', async () => {
    const { status, body, headers } = await send<Record<string, string>>('GET', `${api.url}/`);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^application\/json/);
    expect(body).toMatchObject({ name: 'eventdeck', version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string });
    const places = Object.values(body).filter((value) => value.startsWith('/'));
    expect(places).toEqual(expect.arrayContaining(['/api/events', '/health', '/docs', '/redoc', '/openapi.json']));
    for (const place of places) {
      expect([place, (await send('GET', api.url + place)).status]).toEqual([place, 200]);
    }
  });

  describe('meet the known breaks', () => {
    it('unknown body fields, once ignored, are 422', async () => {
      const json = { event_type: 'x', severity: 'info', message: 'x', metadata: {} };
      expectInvalid(await send('POST', `${api.url}/api/events`, { json }), '#/metadata');
    });

    it('null in PUT, once unchanged, clears', async () => {
      const { body } = await createEvent(api, { details: { a: 1 }, source: 'x' });
      const json = { details: null, source: null };
      const answer = await send('PUT', `${api.url}/api/events/${body.id}`, { json });
      expect(answer).toMatchObject({ status: 200, body: { details: null, source: null } });
    });

    it('the detail of a 422, once a list, is a sentence beside errors', async () => {
      const answer = await send('POST', `${api.url}/api/events`, { json: { severity: 'info', message: 'x' } });
      const { detail, errors } = expectProblem(answer, 422);
      expect(detail).toBe('The request is not valid: event_type must be a string');
      expect(errors).toEqual([{ detail: 'event_type must be a string', pointer: '#/event_type' }]);
    });
  });
});
