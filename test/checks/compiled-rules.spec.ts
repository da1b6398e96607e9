import { plainToInstance } from 'class-transformer';
import { validate } from 'class-validator';
import * as fc from 'fast-check';
import { DeleteEventsQueryDto } from '../../libs/events/src/event-deletion.dto';
import { ListEventsQueryDto, EventTypeParamDto, PageQueryDto } from '../../libs/events/src/event-list.dto';
import { CreateEventDto, UpdateEventDto } from '../../libs/events/src/events.dto';
import { compileRules, type BrokenRule } from '../../libs/platform/src/http/compiled-rules';

const RUNS = 2000;

/** What class-validator itself says of an object. */
async function brokenRules(object: object): Promise<BrokenRule[]> {
  const errors = await validate(object, { stopAtFirstError: true });
  return errors.map(({ property, constraints }) => ({ property, message: Object.values(constraints ?? {}).join() }));
}

const nest = (levels: number): unknown => (levels === 0 ? 1 : { k: nest(levels - 1) });

const ANYTHING = fc.oneof(
  fc.constantFrom<unknown>(null, undefined, '', 0, 1, NaN, true, [], {}, '\0', '__proto__', () => 1, Symbol.iterator),
  fc.anything(),
);

/** Mostly `right`, sometimes `wrong`, so that of many fields often all are right. */
const mostly = <T>(right: fc.Arbitrary<T>, ...wrong: fc.Arbitrary<T>[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 12 * wrong.length, arbitrary: right }, ...wrong);

/** Texts on both sides of a limit, of characters of one and two UTF-16 units. */
function textsAround(max: number): fc.Arbitrary<string> {
  const texts = (...counts: number[]): fc.Arbitrary<string> =>
    fc
      .tuple(fc.constantFrom('x', 'é', '😀', '\ud800'), fc.constantFrom(...counts))
      .map(([character, count]) => character.repeat(count));
  return mostly(texts(1, max - 1, max), texts(0, max + 1, 2 * max + 1));
}

const SEVERITY = mostly(
  fc.constantFrom('info', 'warning', 'error', 'critical'),
  fc.constantFrom('fatal', 'INFO', '', 'toString'),
);
const TIME = mostly(
  fc.constantFrom('2026-01-31T09:30:00Z', '1970-01-01T00:00:00.000+00:00', '2026-01-31t09:30:00.123456z'),
  fc.constantFrom('2026-01-31T09:30:00', '2026-02-30T00:00:00Z', '2400-01-01T00:00:00Z', 'infinity', '24h', ''),
);
const AGE = fc.oneof(TIME, fc.constantFrom('15m', '7d', '0s'));
const DETAILS = mostly<unknown>(
  fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom({}, null, nest(32), { a: 'x'.repeat(262_136) })),
  fc.constantFrom([], nest(33), { a: 'x'.repeat(262_137) }),
);

const body = (fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> =>
  fc.record(fields).map((values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ABSENT)));
const ABSENT = Symbol('absent');
const field = (own: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => mostly(own, ANYTHING, fc.constant(ABSENT));

const EVENT = body({
  event_type: field(textsAround(100)),
  severity: field(SEVERITY),
  message: field(textsAround(65_536)),
  details: field(DETAILS),
  source: field(textsAround(200)),
  timestamp: field(TIME),
});

const once = (text: fc.Arbitrary<string>): fc.Arbitrary<string | string[]> =>
  mostly<string | string[]>(text, fc.array(text, { minLength: 2, maxLength: 3 }));
const often = (text: fc.Arbitrary<string>): fc.Arbitrary<string | string[]> =>
  fc.oneof(
    text,
    fc.array(text, { minLength: 2, maxLength: 4 }),
    mostly(text, fc.constant('x')).map((value) => Array<string>(101).fill(value)),
  );
const INTEGER = mostly(
  fc.constantFrom('1', '1000', '0042'),
  fc.constantFrom('0', '1001', '2147483647', '2147483648', '1e3', ' 1', '-1', '', '99999999999999999999'),
);
const CURSOR = Buffer.from(JSON.stringify(['timestamp', '_KPsjRyraW6G', 1_769_851_800_000, 42])).toString('base64url');

/** What a parser of queries yields: texts, and lists of texts for what is repeated. */
const QUERY = fc.record(
  {
    since: once(AGE),
    until: once(AGE),
    event_type: mostly<string | string[]>(textsAround(100), often(textsAround(100))),
    severity: mostly<string | string[]>(SEVERITY, often(SEVERITY)),
    min_severity: once(SEVERITY),
    source: mostly<string | string[]>(textsAround(200), often(textsAround(200))),
    q: once(
      mostly(fc.constantFrom('a -b', 'pg-node_7', 'x'.repeat(1000)), fc.string(), textsAround(1000), fc.constant('-')),
    ),
    limit: once(INTEGER),
    offset: once(INTEGER),
    cursor: once(mostly(fc.constant(CURSOR), fc.string())),
    sort: once(mostly(fc.constantFrom('timestamp', '-timestamp'), fc.constantFrom('', 'id', 'toString'))),
    count: once(mostly(fc.constantFrom('exact', 'estimated'), fc.constantFrom('', 'constructor'))),
    dry_run: once(mostly(fc.constantFrom('true', 'false'), fc.constantFrom('', '1', 'toString', '__proto__'))),
  },
  { requiredKeys: [] },
);

describe('compiled rules say what class-validator says', () => {
  let broken: number;
  let whole: number;

  beforeEach(() => {
    [broken, whole] = [0, 0];
  });

  // Both sides must have been tried for the agreement to mean anything.
  afterEach(() => {
    expect(broken).toBeGreaterThan(RUNS / 50);
    expect(whole).toBeGreaterThan(RUNS / 50);
  });

  async function expectAgreement(rules: ReturnType<typeof compileRules>, object: object): Promise<void> {
    const expected = await brokenRules(object);
    expect(rules.check(object)).toEqual(expected);
    if (expected.length > 0) broken++;
    else whole++;
  }

  it.each([
    ['CreateEventDto', CreateEventDto],
    ['UpdateEventDto', UpdateEventDto],
  ])('of bodies: %s', async (_name, Dto) => {
    const rules = compileRules(Dto);
    await fc.assert(
      fc.asyncProperty(EVENT, (body) => expectAgreement(rules, Object.assign(new Dto(), body))),
      { numRuns: RUNS },
    );
  });

  it.each([
    ['ListEventsQueryDto', ListEventsQueryDto],
    ['PageQueryDto', PageQueryDto],
    ['DeleteEventsQueryDto', DeleteEventsQueryDto],
    ['EventTypeParamDto', EventTypeParamDto],
  ] as const)('of parameters: %s', async (_name, Dto) => {
    const rules = compileRules(Dto);
    await fc.assert(
      fc.asyncProperty(QUERY, (query) => {
        const known = Object.entries(query).filter(([name]) => rules.names.has(name));
        return expectAgreement(rules, plainToInstance<object, object>(Dto, Object.fromEntries(known)));
      }),
      { numRuns: RUNS },
    );
  });
});
