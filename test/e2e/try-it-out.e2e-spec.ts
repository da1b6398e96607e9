import { countEvents, createEvent, startEmptyApp } from '../support/events';
import { send, type Answer } from '../support/http';
import type { TestApp } from '../support/test-app';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Schema {
  type?: string | string[];
  example?: unknown;
  default?: unknown;
  enum?: unknown[];
}

interface Media {
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}

interface Parameter extends Media {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  schema: Schema;
}

interface Operation {
  operationId: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, Media> };
}

/** The document in the repository; a check holds it to what the application says of itself. */
const document = JSON.parse(readFileSync(join(__dirname, '../../docs/openapi.json'), 'utf8')) as {
  paths: Record<string, Record<string, Operation>>;
};

const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, ...operation })),
);

type OperationAt = (typeof operations)[number];

/** What Swagger UI 5 puts into a field: it makes up an object where nothing else is said. */
function prefilled({ example, examples, required, schema }: Parameter): unknown {
  const [first] = Object.values(examples ?? {});
  const choice = required ? schema.enum?.[0] : undefined;
  const said = first?.value ?? example ?? schema.example ?? schema.default ?? choice;
  return said ?? (schema.type === 'object' && !examples ? { additionalProp1: 'string' } : undefined);
}

/** The texts that a value is sent as: lists repeat their name, objects put their keys in brackets. */
function toPairs(name: string, value: unknown): [name: string, text: string][] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value.map((each) => [name, String(each)]);
  if (typeof value !== 'object' || value === null)
    return [[name, typeof value === 'string' ? value : JSON.stringify(value)]];
  return Object.entries(value).map(([key, each]) => [`${name}[${key}]`, String(each)]);
}

/** Clicks on "Try it out" and "Execute". */
function execute(api: TestApp, { method, path, parameters = [], requestBody }: OperationAt): Promise<Answer> {
  const placed = (place: Parameter['in']): [string, string][] =>
    parameters
      .filter((parameter) => parameter.in === place)
      .flatMap((parameter) => toPairs(parameter.name, prefilled(parameter)));
  const target = placed('path').reduce(
    (left, [name, value]) => left.replace(`{${name}}`, encodeURIComponent(value)),
    path,
  );
  const query = new URLSearchParams(placed('query')).toString();
  const [type, media] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  const body = media && (Object.values(media.examples ?? {})[0]?.value ?? media.example);
  return send(method, `${api.url}${target}${query === '' ? '' : `?${query}`}`, {
    headers: { ...Object.fromEntries(placed('header')), ...(type !== undefined && { 'content-type': type }) },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
}

function operation(id: string): OperationAt {
  const found = operations.find(({ operationId }) => operationId === id);
  if (!found) throw new Error(`the document has no operation ${id}`);
  return found;
}

describe('"Try it out" on the page of the documentation', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterAll(() => api.close());

  describe.each(operations)('$method $path', (tried) => {
    it('works as it is offered, also the second time', async () => {
      for (const click of [1, 2]) {
        const { status, text } = await execute(api, tried);
        const expected = tried.path.endsWith('/{id}') ? [200, 204, 404] : [200, 201];
        expect([click, text, expected.includes(status)]).toEqual([click, text, true]);
      }
    });
  });

  it('works on the event of the examples, however often it was changed', async () => {
    await api.sql(
      `INSERT INTO system_events (id, event_type, severity, message) OVERRIDING SYSTEM VALUE
       VALUES (42, 'deployment', 'info', 'api 1.4.2 is live') ON CONFLICT (id) DO NOTHING`,
    );
    for (const id of ['getEvent', 'putEvent', 'updateEvent', 'putEvent', 'updateEvent', 'getEvent', 'deleteEvent']) {
      const { status, text } = await execute(api, operation(id));
      expect([id, status, text]).toEqual([id, id === 'deleteEvent' ? 204 : 200, text]);
    }
    expect((await execute(api, operation('deleteEvent'))).status).toBe(404);
  });

  it('stores an event with every click', async () => {
    const before = await countEvents(api);
    for (const id of ['createEvent', 'createEvents', 'importEvents']) {
      for (const click of [1, 2])
        expect([click, (await execute(api, operation(id))).headers.get('idempotent-replayed')]).toEqual([click, null]);
    }
    expect(await countEvents(api)).toBe(before + 2 * (1 + 2 + 1));
  });

  it('deletes nothing by filters, but counts what it would delete', async () => {
    await createEvent(api, { timestamp: '2000-01-01T00:00:00Z' });
    const before = await countEvents(api);
    const { body } = await execute(api, operation('deleteEvents'));
    expect((body as { deleted: number }).deleted).toBeGreaterThan(0);
    expect(await countEvents(api)).toBe(before);
  });

  it('lists what is there', async () => {
    await createEvent(api);
    for (const id of ['listEvents', 'listEventsByType']) {
      expect((await execute(api, operation(id))).body).not.toHaveLength(0);
    }
  });
});
