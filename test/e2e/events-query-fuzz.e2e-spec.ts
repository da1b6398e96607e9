import * as fc from 'fast-check';
import { createEvent, expectProblem, startEmptyApp } from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';

/** Queries that are sent at once, and how many times. */
const [AT_ONCE, RUNS] = [10, 150];

const NAMES = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom(
      ...[
        'since',
        'until',
        'event_type',
        'severity',
        'min_severity',
        'source',
        'q',
        'q',
        'q',
        'sort',
        'cursor',
        'count',
      ],
      ...['limit', 'offset', 'dry_run'],
    ),
  },
  { weight: 8, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }).map((path) => `details.${path}`) },
  { weight: 4, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }).map((path) => `details[${path}]`) },
  {
    weight: 4,
    arbitrary: fc.constantFrom('details.a', 'details.a.b', 'details.__proto__', 'details["a.b"]', 'detail'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
);

/** What operators, quotes and brackets of SQL, of searches and of JSON are made of, and words. */
const PIECES = fc.constantFrom(
  ...[
    'live',
    'api',
    '1.4.2',
    'or',
    'OR',
    'not',
    'and',
    ' ',
    '  ',
    '"',
    '""',
    "'",
    "''",
    '-',
    '--',
    '!',
    '&',
    '|',
    '(',
    ')',
  ],
  ...[
    ':',
    ':*',
    '*',
    '<->',
    '<1>',
    '\\',
    '\\\\',
    '%',
    '_',
    '$1',
    ':search',
    '@>',
    '?',
    '??',
    ';',
    '/*',
    '*/',
    '{',
    '}',
  ],
  ...[
    '[',
    ']',
    '{"a":',
    '1e5',
    '-0',
    '0',
    '.5',
    'null',
    'true',
    '\t',
    '\n',
    '\r\n',
    'é',
    'e\u0301',
    '部',
    '😀',
    '\u202e',
    '\ufeff',
  ],
);

const VALUES = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      ...['info', 'warning', 'error', 'critical', 'deployment', '24h', '0s', '999999w', '2026-01-31T09:30:00Z', 'true'],
      ...[
        '0001-01-01T00:00:00Z',
        '9999-12-31T23:59:59.999Z',
        'exact',
        'estimated',
        'timestamp',
        '-timestamp',
        '1',
        '100',
      ],
      ...['1e999', '-1e-999', '1e-9999', '123456789012345678901234567890', '0.1', '-0', '', 'false', '2147483647'],
    ),
  },
  { weight: 6, arbitrary: fc.array(PIECES, { maxLength: 25 }).map((pieces) => pieces.join('')) },
  { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.double().map(String) },
);

describe('any query', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
    for (const details of [null, {}, { a: 1 }, { a: { b: 'x' } }]) await createEvent(api, { details });
  });

  afterAll(() => api.close());

  it.each([
    ['GET', '/api/events'],
    ['DELETE', '/api/events'],
  ])('to %s %s is answered, or refused with the name of its parameter', async (method, path) => {
    const statuses = new Map<number, number>();
    const query = fc.array(fc.tuple(NAMES, VALUES), { minLength: 1, maxLength: 5 });
    const run = async (parameters: [string, string][]): Promise<void> => {
      const text = parameters.map((pair) => pair.map(encodeURIComponent).join('=')).join('&');
      const answer = await send(method, `${api.url}${path}?${text}`);
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      if (answer.status === 200) return;
      const { errors = [] } = expectProblem(answer, 422);
      expect(errors.length).toBeGreaterThan(0);
      const names = new Set([...parameters.map(([name]) => name), 'since', 'until']);
      for (const { parameter } of errors) expect(names).toContain(parameter);
    };
    const queries = fc.array(query, { minLength: AT_ONCE, maxLength: AT_ONCE });
    const runAll = async (several: [string, string][][]): Promise<void> => void (await Promise.all(several.map(run)));
    await fc.assert(fc.asyncProperty(queries, runAll), { numRuns: RUNS });
    expect([...statuses.keys()].sort()).toEqual([200, 422]);
  });
});
