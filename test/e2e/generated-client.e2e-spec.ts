import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from '../support/generated/api';
import { startApp, type TestApp } from '../support/test-app';

type Event = components['schemas']['Event'];

/** Drives the service with a client that knows the OpenAPI document alone: what it cannot say does not compile. */
describe('a client generated from the OpenAPI document', () => {
  const token = 'the-token-of-this-test';
  let api: TestApp;
  let client: Client<paths>;
  let deployment: Event;

  beforeAll(async () => {
    api = await startApp({ API_TOKEN: token });
    client = createClient<paths>({ baseUrl: api.url, headers: { authorization: `Bearer ${token}` } });
  });

  afterAll(() => api.close());

  it('creates an event', async () => {
    const { data, response } = await client.POST('/api/events', {
      body: {
        event_type: 'deployment',
        severity: 'info',
        message: 'api 1.4.2 is live',
        details: { version: '1.4.2', pods: 3 },
        source: null,
      },
    });
    expect(response.status).toBe(201);
    if (!data) throw new Error('no event');
    deployment = data;
    expect(deployment.details?.version).toBe('1.4.2');
    expect(deployment.source).toBeNull();
  });

  it('reads it, and not again while it is the same', async () => {
    const params = { path: { id: deployment.id } };
    const { data, response } = await client.GET('/api/events/{id}', { params });
    expect(data).toEqual(deployment);
    const header = { 'If-None-Match': response.headers.get('etag') ?? '' };
    const again = await client.GET('/api/events/{id}', { params: { ...params, header } });
    expect(again.response.status).toBe(304);
  });

  it('lists with filters that repeat', async () => {
    for (const severity of ['warning', 'critical'] as const) {
      await client.POST('/api/events', { body: { event_type: 'disk', severity, message: 'full', source: 'db' } });
    }
    const { data = [] } = await client.GET('/api/events', {
      params: { query: { event_type: ['disk', 'deployment'], severity: ['critical', 'info'], limit: 10 } },
    });
    expect(data.map(({ event_type, severity }) => [event_type, severity])).toEqual([
      ['disk', 'critical'],
      ['deployment', 'info'],
    ]);
  });

  it('lists one type, page by page', async () => {
    const { data = [], response } = await client.GET('/api/events/type/{event_type}', {
      params: { path: { event_type: 'disk' }, query: { limit: 1 } },
    });
    expect(data.map(({ severity }) => severity)).toEqual(['critical']);
    expect(response.headers.get('link')).toContain('rel="next"');
  });

  it('changes fields, by PATCH and by PUT', async () => {
    const params = { path: { id: deployment.id } };
    const patched = await client.PATCH('/api/events/{id}', { params, body: { severity: 'error' } });
    expect(patched.data).toMatchObject({ severity: 'error', details: { pods: 3 } });
    const put = await client.PUT('/api/events/{id}', { params, body: { details: null } });
    expect(put.data).toMatchObject({ severity: 'error', details: null });
  });

  it('counts', async () => {
    const { data } = await client.GET('/api/events/stats');
    expect(data?.events_by_severity.critical).toBe(1);
    expect(data?.events_by_type.disk).toBe(2);
    expect(data?.recent_events).toBeGreaterThanOrEqual(3);
  });

  it('reads which rules a request breaks', async () => {
    const { error, response } = await client.POST('/api/events', {
      body: { event_type: '', severity: 'info', message: 'nothing of a kind' },
    });
    expect(response.status).toBe(422);
    expect(error?.errors).toEqual([{ detail: 'event_type must not be empty', pointer: '#/event_type' }]);
    expect(error?.request_id).toBe(response.headers.get('x-request-id'));
  });

  it('deletes, unless the event was changed meanwhile', async () => {
    const params = { path: { id: deployment.id } };
    const stale = await client.DELETE('/api/events/{id}', { params: { ...params, header: { 'If-Match': '"1-0"' } } });
    expect(stale.error?.status).toBe(412);
    expect((await client.DELETE('/api/events/{id}', { params })).response.status).toBe(204);
    const gone = await client.GET('/api/events/{id}', { params });
    expect(gone.error?.detail).toBe(`Event ${deployment.id} not found`);
  });

  it('reads the health without a token', async () => {
    const { data } = await createClient<paths>({ baseUrl: api.url }).GET('/health');
    expect(data?.details.postgres?.status).toBe('up');
  });
});
