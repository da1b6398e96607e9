import { send } from '../support/http';
import { startApp, type TestApp } from '../support/test-app';

interface EventBody {
  id: number;
  event_type: string;
}

describe('the events API', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startApp();
  });

  afterAll(() => api.close());

  it('stores an event and reads it back byte for byte', async () => {
    const event = {
      event_type: 'deployment',
      severity: 'info',
      message: 'api 1.4.2 is live',
      details: { b: 1, a: [1, { c: null }] },
    };
    const created = await send<EventBody>('POST', `${api.url}/api/events`, { json: event });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ ...event, source: null });
    expect(created.headers.get('location')).toBe(`/api/events/${created.body.id}`);
    const read = await send('GET', `${api.url}/api/events/${created.body.id}`);
    expect(read.status).toBe(200);
    expect(read.text).toBe(created.text);
    expect(read.headers.get('etag')).toBe(created.headers.get('etag'));
  });
});
