import { once } from 'node:events';
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { json as readJson } from 'node:stream/consumers';
import { countEvents, EVENT, startEmptyApp, type ProblemBody } from '../support/events';
import { until } from '../support/services';
import type { TestApp } from '../support/test-app';
import { MEDIA_TYPES, type Format, type ImportBody } from '../support/transfer';

/** Events at the head of a file of which, all refused, nothing more is read. */
const HOPELESS = 10_000;

const GOOD = JSON.stringify(EVENT);
const HEADER = 'event_type,severity,message\n';

/** What each kind of wrong file begins with, a wrong event of it, a good one, and what is said of the wrong one. */
const WRONG: [name: string, format: Format, head: string, bad: string, good: string, said: string, pointer: string][] =
  [
    ['lines of text', 'ndjson', '', 'x\n', `${GOOD}\n`, 'The event is not valid JSON', '#/0'],
    ['empty objects', 'ndjson', '', '{}\n', `${GOOD}\n`, 'event_type must be a string (and 2 more)', '#/0/event_type'],
    ['an array of numbers', 'json', '[', '1,', `${GOOD},`, 'an event must be a JSON object', '#/0'],
    ['a table of one column', 'csv', HEADER, 'x\n', 'a,info,m\n', 'The event does not fit the header', '#/0'],
  ];

describe('an import of the wrong file', () => {
  let api: TestApp;
  const uploads: ClientRequest[] = [];

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  beforeEach(() => api.sql('TRUNCATE system_events'));

  afterEach(() => {
    for (const upload of uploads.splice(0)) upload.destroy();
  });

  afterAll(() => api.close());

  /** An upload of which `text` is sent, and no end. */
  function open(format: Format, text: string): { upload: ClientRequest; answer: Promise<IncomingMessage> } {
    const headers = { 'content-type': MEDIA_TYPES[format] };
    const upload = request(`${api.url}/api/events/import`, { method: 'POST', headers, agent: false });
    upload.on('error', () => undefined);
    uploads.push(upload);
    const answer = (once(upload, 'response') as Promise<[IncomingMessage]>).then(([response]) => response);
    upload.write(text);
    return { upload, answer };
  }

  it.each<[Format, string, string, string]>([
    ['ndjson', '', '{"event_type":1}\n', '{"event_type":"x","severity":"info","message":"x"}\n'],
    ['json', '[', '{"event_type":1},', '{"event_type":"x","severity":"info","message":"x"}]'],
    ['csv', HEADER, ',info,x\n', 'x,info,x\n'],
  ])(
    'takes the shortest event also when nobody is told any more what is wrong: %s',
    async (format, head, bad, good) => {
      const { upload, answer } = open(format, head + bad.repeat(150) + good);
      upload.end();
      expect((await readJson(await answer)) as ImportBody).toMatchObject({ imported: 1, rejected: 150 });
    },
  );

  describe.each(WRONG)('%s', (_name, format, head, bad, good, said, pointer) => {
    it(`ends with the event ${HOPELESS}, whatever else comes`, async () => {
      const { answer } = open(format, head + bad.repeat(HOPELESS));
      let response: IncomingMessage | undefined;
      void answer.then((come) => (response = come));
      await until(() => response !== undefined, 'it is answered before the file has an end');
      expect(response?.statusCode).toBe(422);
      const { detail, errors = [] } = (await readJson(response!)) as ProblemBody;
      expect(detail).toContain(`None of the first ${HOPELESS} events can be stored`);
      expect(detail).toContain(`Content-Type (${MEDIA_TYPES[format]})`);
      expect(errors).toHaveLength(20);
      const line = format === 'csv' ? 2 : 1;
      expect(errors[0]).toEqual({ detail: expect.stringContaining(`line ${line}: ${said}`) as string, pointer });
      expect(detail).toContain(errors[0]?.detail);
      expect(await countEvents(api)).toBe(0);
    });

    it('goes on while one may still come, and does once one came', async () => {
      const { upload, answer } = open(format, head + bad.repeat(HOPELESS - 1) + good + bad.repeat(HOPELESS));
      upload.end(format === 'json' ? '1]' : '');
      const response = await answer;
      const last = format === 'json' ? 1 : 0;
      expect((await readJson(response)) as ImportBody).toMatchObject({
        imported: 1,
        rejected: 2 * HOPELESS - 1 + last,
      });
      expect(await countEvents(api)).toBe(1);
    });
  });
});
