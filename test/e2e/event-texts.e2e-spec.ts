import { countEvents, createEvent, EVENT, expectInvalid, startEmptyApp } from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';

const UNSEEN: [string, string][] = [
  ['a space', ' '],
  ['white space', '\t\r\n\u00a0\u2003\u3000'],
  ['a zero-width space', '\u200b'],
  ['joiners and marks of direction', '\u200d\u2060\u202e\u2066\ufeff'],
  ['a filler and a variation selector', '\u3164\ufe0f'],
];

const CONTROLS: [string, string][] = [
  ['an escape sequence', 'deploy\u001b[2J'],
  ['a bell', '\u0007deploy'],
  ['a backspace', 'deploy\b'],
  ['the first one', '\u0001deploy'],
  ['a form feed', 'dep\floy'],
  ['DEL', 'deploy\u007f'],
  ['a one-byte escape sequence', 'deploy\u009b2J'],
];

describe('texts of an event that nobody could read', () => {
  let api: TestApp;
  let path: string;

  beforeAll(async () => {
    api = await startEmptyApp();
    path = `/api/events/${(await createEvent(api)).body.id}`;
  });

  afterAll(() => api.close());

  it.each([
    ...UNSEEN.map(([name, text]) => ['event_type', name, text, 'must have a character that can be seen'] as const),
    ...['event_type', 'source'].flatMap((field) =>
      CONTROLS.map(([name, text]) => [field, name, text, 'must not contain control characters'] as const),
    ),
  ])('are refused by every operation that stores: %s of %s', async (field, _name, text, rule) => {
    const pointer = `#/${field}`;
    const before = await send('GET', api.url + path);
    for (const [method, to, json] of [
      ['POST', '/api/events', { ...EVENT, [field]: text }],
      ['PUT', path, { [field]: text }],
      ['PATCH', path, { [field]: text }],
    ] as const) {
      const problem = expectInvalid(await send(method, api.url + to, { json }), pointer);
      expect(problem.errors?.[0]?.detail).toMatch(`${field} ${rule}`);
    }
    const events = [{ ...EVENT, [field]: text }];
    const batch = await send('POST', `${api.url}/api/events/batch`, { json: events });
    expect(batch.text).toContain(`${field} ${rule}`);
    const headers = { 'content-type': 'application/x-ndjson' };
    const body = `${JSON.stringify(events[0])}\n`;
    const imported = await send('POST', `${api.url}/api/events/import`, { body, headers });
    expect(imported.text).toContain(`${field} ${rule}`);
    expect((await send('GET', api.url + path)).text).toBe(before.text);
    expect(await countEvents(api)).toBe(1);
  });
});
