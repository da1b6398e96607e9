import { gzipSync } from 'node:zlib';
import {
  countEvents,
  createEvent,
  EVENT,
  expectInvalid,
  expectProblem,
  sendText,
  startEmptyApp,
} from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';

const MAX_BYTES = 1024 * 1024;

/** An event whose details hold this text, which may be no JSON. */
const withDetails = (details: string): string => `${JSON.stringify(EVENT).slice(0, -1)},"details":${details}}`;

/** A JSON body of so many bytes: the spaces are part of it and of no field. */
const padded = (bytes: number): string => JSON.stringify(EVENT).padEnd(bytes, ' ');

describe('request bodies', () => {
  let api: TestApp;
  let stored: { path: string; text: string };

  beforeAll(async () => {
    api = await startEmptyApp();
    const { body, text } = await createEvent(api);
    stored = { path: `/api/events/${body.id}`, text };
  });

  afterAll(() => api.close());

  const operations: [method: string, url: () => string][] = [
    ['POST', () => `${api.url}/api/events`],
    ['PUT', () => api.url + stored.path],
    ['PATCH', () => api.url + stored.path],
  ];

  /** After a refused request there is one event, as it was. */
  async function expectUntouched(): Promise<void> {
    expect(await countEvents(api)).toBe(1);
    const [row] = await api.sql<{ message: string; version: string }>('SELECT message, version FROM system_events');
    expect(row).toEqual({ message: EVENT.message, version: '1' });
    expect((await send('GET', api.url + stored.path)).text).toBe(stored.text);
    const bare = {} as Record<string, unknown>;
    expect([bare.x, bare.polluted, Object.keys(Object.prototype)]).toEqual([undefined, undefined, []]);
  }

  describe.each(operations)('%s', (method, url) => {
    it.each([
      ['broken JSON', '{"event_type": "x",}'],
      ['cut off', '{"event_type": "x"'],
      ['single quotes', "{'event_type': 'x'}"],
      ['two values', '{} {}'],
      ['NaN', withDetails('{"n": NaN}')],
      ['Infinity', withDetails('{"n": Infinity}')],
      ['a leading zero', withDetails('{"n": 01}')],
      ['a control character', withDetails('{"s": "\n"}')],
      ['a comment', '{} // comment'],
      ['empty', ''],
      ['blank', ' \n\t '],
      ['not JSON but a form', 'event_type=x&severity=info&message=x'],
      ['a lone high surrogate in a value', withDetails('{"s": "\\ud800"}')],
      ['a lone low surrogate in a value', withDetails('{"s": "x\\udc00x"}')],
      ['surrogates in the wrong order', withDetails('{"s": "\\udc00\\ud800"}')],
      ['a lone surrogate in a field', '{"event_type":"\\ud800","severity":"info","message":"x"}'],
      ['a lone surrogate in a key', withDetails('{"\\ud800": 1}')],
      ['a lone surrogate in an unknown field', '{"\\ud800": 1}'],
    ])('answers 400: %s', async (_name, body) => {
      expectProblem(await sendText(method, url(), body), 400);
      await expectUntouched();
    });

    it.each([
      ['a lone byte', [0xff]],
      ['an overlong slash', [0xc0, 0xaf]],
      ['a surrogate', [0xed, 0xa0, 0x80]],
      ['beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
      ['half a character', [0xe2, 0x82]],
    ])('answers 400: invalid UTF-8, %s', async (_name, bytes) => {
      const [before, after] = withDetails('{"s":"|"}')
        .split('|')
        .map((text) => Buffer.from(text)) as [Buffer, Buffer];
      const body = new Uint8Array(Buffer.concat([before, Buffer.from(bytes), after]));
      expectProblem(await sendText(method, url(), body), 400);
      await expectUntouched();
    });

    it.each([
      ['text/plain', { 'content-type': 'text/plain' }],
      ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
      ['multipart', { 'content-type': 'multipart/form-data; boundary=x' }],
      ['XML', { 'content-type': 'application/xml' }],
      ['a longer JSON type', { 'content-type': 'application/jsonp' }],
      ['another JSON type', { 'content-type': 'application/merge-patch+json' }],
      ['latin1', { 'content-type': 'application/json; charset=latin1' }],
      ['quoted UTF-16', { 'content-type': 'application/json; charset="utf-16"' }],
      ['no media type', { 'content-type': 'nonsense' }],
      ['gzip', { 'content-type': 'application/json', 'content-encoding': 'gzip' }],
      ['br', { 'content-type': 'application/json', 'content-encoding': 'br' }],
      ['deflate', { 'content-type': 'application/json', 'content-encoding': 'deflate' }],
    ])('answers 415: %s', async (_name, headers) => {
      expectProblem(await send(method, url(), { body: JSON.stringify(EVENT), headers }), 415);
      await expectUntouched();
    });

    it('answers 415: no content type', async () => {
      // fetch gives text a content type of its own, but not bytes.
      expectProblem(await send(method, url(), { body: Buffer.from(JSON.stringify(EVENT)) }), 415);
      await expectUntouched();
    });

    it('answers 415: a body that is compressed indeed', async () => {
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
      expectProblem(await send(method, url(), { body: gzipSync(JSON.stringify(EVENT)), headers }), 415);
      await expectUntouched();
    });

    it.each(['[]', '[{}]', 'null', '"text"', '5', 'true'])('answers 422: the body is %s', async (body) => {
      expectInvalid(await sendText(method, url(), body), '#');
      await expectUntouched();
    });

    it.each([
      ['NUL in a field', '{"event_type":"a\\u0000b","severity":"info","message":"x"}', '#/event_type'],
      ['NUL in source', '{"event_type":"a","severity":"info","message":"x","source":"\\u0000"}', '#/source'],
      ['NUL in details', withDetails('{"a":[1,"\\u0000"]}'), '#/details/a/1'],
      ['NUL in a key', withDetails('{"a":{"b\\u0000":1}}'), '#/details/a'],
      ['NUL in an unknown field', '{"\\u0000":1}', '#'],
      ['__proto__', '{"__proto__":{"x":1}}', '#'],
      ['__proto__ escaped', '{"\\u005f_proto__":{"x":1}}', '#'],
      ['__proto__ in details', withDetails('{"__proto__":{"x":1}}'), '#/details'],
      ['__proto__ deep', withDetails('{"a":[{"b":{"__proto__":{"x":1}}}]}'), '#/details/a/0/b'],
      ['__proto__ null', withDetails('{"__proto__":null}'), '#/details'],
      ['constructor', '{"constructor":{"prototype":{"x":1}}}', '#'],
      ['constructor in details', withDetails('{"constructor":{"prototype":{"x":1}}}'), '#/details'],
      ['constructor deep', withDetails('{"a":[[{"constructor":1}]]}'), '#/details/a/0/0'],
      ['33 levels', withDetails('{"a":'.repeat(32) + '{}' + '}'.repeat(32)), '#/details'],
    ])('answers 422: %s', async (_name, body, pointer) => {
      expectInvalid(await sendText(method, url(), body), pointer);
      await expectUntouched();
    });

    it.each([
      ['objects', '{"a":', '}', 100_000],
      ['arrays', '[', ']', 400_000],
    ])('answers 422: %s nested without end', async (_name, open, close, levels) => {
      const answer = await sendText(method, url(), withDetails(`{"a":${open.repeat(levels)}1${close.repeat(levels)}}`));
      const { errors } = expectProblem(answer, 422);
      expect(errors?.[0]?.pointer).toMatch(/^#\/details\/a\/[a0/]+$/);
      await expectUntouched();
    });

    it('answers 413 to one byte over 1 MiB', async () => {
      expectProblem(await sendText(method, url(), padded(MAX_BYTES + 1)), 413);
      await expectUntouched();
    });

    it('answers 413 to one byte over 1 MiB in chunks', async () => {
      const body = new Blob([padded(MAX_BYTES + 1)]).stream();
      const headers = { 'content-type': 'application/json' };
      const init = { body, headers, duplex: 'half' } as Parameters<typeof send>[2];
      expectProblem(await send(method, url(), init), 413);
      await expectUntouched();
    });
  });

  it('points to every place and lists no more than twenty', async () => {
    const two = await sendText('POST', `${api.url}/api/events`, withDetails('{"a~/b":"\\u0000","c":[1e400]}'));
    expectInvalid(two, '#/details/a~0~1b', '#/details/c/0');
    const values = await sendText(
      'POST',
      `${api.url}/api/events`,
      withDetails(`{"a":["\\u0000"${',1e400'.repeat(99)}]}`),
    );
    expect(expectProblem(values, 422).errors).toHaveLength(20);
    const keys = Array.from({ length: 99 }, (_, index) => `"${index}\\u0000":1`);
    const badKeys = await sendText('POST', `${api.url}/api/events`, withDetails(`{${keys.join(',')}}`));
    expect(expectProblem(badKeys, 422).errors).toHaveLength(20);
    const unknown = Object.fromEntries(Array.from({ length: 60_000 }, (_, index) => [`f${index}`, index]));
    const answer = await send('POST', `${api.url}/api/events`, { json: { ...EVENT, ...unknown } });
    const { errors, detail } = expectProblem(answer, 422);
    expect(errors).toHaveLength(20);
    expect(detail).toContain('(and 59999 more)');
    await expectUntouched();
  });

  it.each([
    ['exactly 1 MiB', 'application/json', padded(MAX_BYTES)],
    ['a charset', 'application/json; charset=utf-8', JSON.stringify(EVENT)],
    ['a charset in capitals and quotes', 'Application/JSON;Charset="UTF-8"', JSON.stringify(EVENT)],
    ['escaped surrogates that are a pair', 'application/json', withDetails('{"s":"\\ud83d\\ude00"}')],
    ['a key twice, the last one counting', 'application/json', `{"message":"first",${JSON.stringify(EVENT).slice(1)}`],
    ['a byte order mark', 'application/json', `\ufeff${JSON.stringify(EVENT)}`],
  ])('reads %s', async (_name, type, body) => {
    const answer = await sendText('POST', `${api.url}/api/events`, body, { 'content-type': type });
    expect(answer).toMatchObject({ status: 201, body: { message: EVENT.message } });
    await api.sql('DELETE FROM system_events WHERE id <> $1', [stored.path.split('/').pop()]);
  });
});
