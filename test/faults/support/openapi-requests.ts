import * as fc from 'fast-check';
import type { OpenApiDocument, Operation, Parameter } from './openapi-document';
import { nastyBodies, nastyHeaders, nastyNames, nastyTexts } from './nasty-values';
import { brokenBody, validBody } from './request-bodies';
import { SchemaValues } from './schema-values';

/** A request as it is sent. */
export interface ApiRequest {
  method: string;
  /** Path and query, percent-encoded unless that is what is wrong with it. */
  target: string;
  headers: [name: string, value: string][];
  body: Uint8Array | undefined;
}

/** A request whose parts can still be changed. */
interface Draft {
  method: string;
  path: string;
  /** Not yet percent-encoded. */
  query: [name: string, value: string][];
  /** Appended to the query as it stands. */
  rawQuery: string;
  headers: [name: string, value: string][];
  body: Uint8Array | undefined;
}

type Fault = (draft: Draft) => Draft;

/** Values that exist at the moment, by the name of their parameter. */
export type KnownValues = Readonly<Record<string, readonly string[]>>;

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];

const MEDIA_TYPES = [
  ...['', 'application/json', 'Application/JSON; charset="UTF-8"', 'application/x-ndjson', 'text/csv', 'text/plain'],
  ...['application/json; charset=latin1', 'application/json;', 'application/jsonp', 'application/xml', 'nonsense'],
  ...['multipart/form-data; boundary=x', 'application/x-www-form-urlencoded', 'application/merge-patch+json'],
];

const BROKEN_QUERIES = [
  '%',
  '%zz',
  'limit=%ff',
  'q=%c0%af',
  '%00=%00',
  'limit',
  'limit=',
  '=',
  '&&',
  'a=b=c',
  '?',
  '+=+',
];

/** Requests for every operation of the document: as it wants them, and with one or two faults. */
export function requests(document: OpenApiDocument, known: KnownValues): fc.Arbitrary<ApiRequest> {
  const values = new SchemaValues(document);
  return fc.oneof(
    ...document.operations.map((operation) => ({
      weight: weightOf(operation),
      arbitrary: requestsOf(values, operation, known),
    })),
  );
}

// By how much there is to try: probes have neither parameters nor a body.
function weightOf({ parameters, bodies }: Operation): number {
  return 1 + Math.min(parameters.length, 5) + 5 * Object.keys(bodies).length;
}

function requestsOf(values: SchemaValues, operation: Operation, known: KnownValues): fc.Arbitrary<ApiRequest> {
  const draft = validDraft(values, operation, known);
  const fault = faultsOf(values, operation);
  return fc
    .tuple(draft, fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(fault, { minLength: 1, maxLength: 2 })))
    .map(([valid, faults]) => toRequest(faults.reduce((changed, change) => change(changed), valid)));
}

function validDraft(values: SchemaValues, operation: Operation, known: KnownValues): fc.Arbitrary<Draft> {
  const { method, path, parameters, bodies } = operation;
  const valuesOf = (parameter: Parameter): fc.Arbitrary<string> => {
    const texts = values.text(parameter.schema);
    const existing = known[parameter.name] ?? [];
    return existing.length === 0 ? texts : fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...existing) }, texts);
  };
  const placed = (place: Parameter['in']): Parameter[] => parameters.filter((parameter) => parameter.in === place);
  const steps = fc.tuple(...placed('path').map((parameter) => named(parameter.name, valuesOf(parameter))));
  return fc
    .record({
      steps,
      query: some(placed('query').map((parameter) => queryOf(values, parameter, valuesOf(parameter)))),
      headers: some(placed('header').map((parameter) => [named(parameter.name, valuesOf(parameter).map(toPrintable))])),
      content: contentOf(values, bodies),
    })
    .map(({ steps: given, query, headers, content: [type, body] }) => ({
      method,
      path: fillIn(path, given),
      query,
      rawQuery: '',
      headers: type === undefined ? headers : [...headers, ['Content-Type', type]],
      body,
    }));
}

function contentOf(values: SchemaValues, bodies: Operation['bodies']): fc.Arbitrary<[string?, Uint8Array?]> {
  const contents = Object.entries(bodies).map(([type, schema]) =>
    validBody(values, type, schema).map((body): [string, Uint8Array] => [type, body]),
  );
  return contents.length === 0 ? fc.constant([]) : fc.oneof(...contents);
}

// The parameters that one of the document stands for: a list repeats its name, an object has a path after its name.
function queryOf(
  values: SchemaValues,
  { name, schema }: Parameter,
  texts: fc.Arbitrary<string>,
): fc.Arbitrary<[string, string]>[] {
  if (schema.items) return [1, 2].map(() => named(name, values.text(schema.items ?? {})));
  if (schema.type !== 'object') return [named(name, texts)];
  const examples = (schema.examples ?? []).flatMap((example) => Object.keys(example as Record<string, string>));
  const paths = fc.constantFrom(...examples.map((path) => `${name}[${path}]`), `${name}.a`, `${name}["a.b"].c`);
  return [fc.tuple(paths, fc.constantFrom('500', 'true', 'null', 'x', '1e5', '-0'))];
}

function named(name: string, value: fc.Arbitrary<string>): fc.Arbitrary<[string, string]> {
  return value.map((text) => [name, text]);
}

// A few: a dozen of filters finds nothing, and mostly refuses one another.
function some(groups: fc.Arbitrary<[string, string]>[][]): fc.Arbitrary<[string, string][]> {
  const pairs = fc.tuple(...groups.flat());
  const numbers = fc.shuffledSubarray(
    groups.flat().map((_, index) => index),
    { maxLength: Math.min(3, groups.flat().length) },
  );
  return fc.tuple(pairs, numbers).map(([all, chosen]) => chosen.map((index) => all[index]!));
}

function faultsOf(values: SchemaValues, { parameters, bodies }: Operation): fc.Arbitrary<Fault> {
  const faults: fc.WeightedArbitrary<Fault>[] = [
    { weight: 2, arbitrary: fc.tuple(nastyNames, nastyTexts).map((pair) => withQuery(pair)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...BROKEN_QUERIES).map((rawQuery): Fault => (draft) => ({ ...draft, rawQuery })),
    },
    { weight: 2, arbitrary: nastyHeaders.map((header) => withHeader(header)) },
    { weight: 1, arbitrary: fc.constantFrom(...METHODS).map((method): Fault => (draft) => ({ ...draft, method })) },
    { weight: 1, arbitrary: pathChanges },
    { weight: 1, arbitrary: fc.constantFrom(...MEDIA_TYPES).map((type) => withHeader(['Content-Type', type])) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom('gzip', 'br', 'identity', '')
        .map((coding) => withHeader(['Content-Encoding', coding])),
    },
    { weight: 1, arbitrary: fc.constant((draft: Draft): Draft => ({ ...draft, body: undefined })) },
    { weight: 1, arbitrary: nastyBodies.map((body) => withBody('application/json', body)) },
    {
      weight: 1,
      arbitrary: fc.constant((draft: Draft): Draft => ({ ...draft, query: [...draft.query, ...draft.query] })),
    },
  ];
  for (const { name, in: place, schema } of parameters) {
    const wrong = values.wrongText(schema.items ?? schema);
    if (place === 'query') faults.push({ weight: 2, arbitrary: named(name, wrong).map((pair) => withQuery(pair)) });
    if (place === 'header')
      faults.push({ weight: 2, arbitrary: wrong.map((text) => withHeader([name, toPrintable(text)])) });
    if (place === 'path') faults.push({ weight: 6, arbitrary: wrong.map((text) => withLastStep(text)) });
  }
  for (const [type, schema] of Object.entries(bodies)) {
    const broken = brokenBody(values, type, schema);
    faults.push({ weight: 20, arbitrary: broken.map((body) => withBody(type, body)) });
  }
  return fc.oneof(...faults);
}

const pathChanges: fc.Arbitrary<Fault> = fc
  .constantFrom<(path: string) => string>(
    (path) => `${path}/`,
    (path) => `/${path}`,
    (path) => `${path}/x`,
    (path) => `${path}/..`,
    (path) => `${path}%00`,
    (path) => `${path}%`,
    (path) => `${path}%ff`,
    (path) => `${path};a=b`,
    (path) => path.toUpperCase(),
    (path) => `/${path.slice(1).replaceAll('/', '%2f')}`,
    (path) => path.replace('e', '%65'),
    (path) => `${path}${'/x'.repeat(2000)}`,
    (path) => `${path}${'x'.repeat(8000)}`,
    () => '/__proto__',
    () => '/api/constructor',
  )
  .map((change) => (draft) => ({ ...draft, path: change(draft.path) }));

const withQuery =
  ([name, value]: [string, string]): Fault =>
  (draft) => ({ ...draft, query: [...draft.query.filter(([given]) => given !== name), [name, value]] });

// One of a kind: what Node makes of two is the business of raw bytes.
const withHeader =
  ([name, value]: [string, string]): Fault =>
  (draft) => ({
    ...draft,
    headers: [...draft.headers.filter(([given]) => given.toLowerCase() !== name.toLowerCase()), [name, value]],
  });

const withBody =
  (type: string, body: Uint8Array): Fault =>
  (draft) =>
    withHeader(['Content-Type', type])({ ...draft, body });

const withLastStep =
  (text: string): Fault =>
  (draft) => ({ ...draft, path: draft.path.replace(/[^/]*$/, () => percentEncode(text)) });

function toRequest({ method, path, query, rawQuery, headers, body }: Draft): ApiRequest {
  const parts = query.map((pair) => pair.map(percentEncode).join('='));
  if (rawQuery !== '') parts.push(rawQuery);
  return { method, target: parts.length === 0 ? path : `${path}?${parts.join('&')}`, headers, body };
}

function fillIn(path: string, values: [name: string, value: string][]): string {
  return values.reduce((filled, [name, value]) => filled.replace(`{${name}}`, () => percentEncode(value)), path);
}

// `encodeURIComponent` has no bytes for half a surrogate pair: these are the ones that UTF-8 would have, were it allowed.
function percentEncode(text: string): string {
  return Array.from(text, (character) => {
    if (character.isWellFormed()) return encodeURIComponent(character);
    const code = character.charCodeAt(0);
    const bytes = [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)];
    return bytes.map((byte) => `%${byte.toString(16)}`).join('');
  }).join('');
}

function toPrintable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '~').trim();
}
