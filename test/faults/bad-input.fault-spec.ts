import * as fc from 'fast-check';
import { faultsSeed } from '../support/environment';
import { createEvent, nextLink, startEmptyApp } from '../support/events';
import { send } from '../support/http';
import type { TestApp } from '../support/test-app';
import { AnswerCheck } from './support/answer-check';
import { HttpClient, type ApiAnswer } from './support/http-client';
import { record } from './support/measurements';
import { OpenApiDocument } from './support/openapi-document';
import { requests, type ApiRequest, type KnownValues } from './support/openapi-requests';
import { acknowledged, sum, WriteLedger } from './support/write-ledger';

/** Requests of a run, in rounds that start with some events; so many at once at most. */
const [REQUESTS, RUNS_OF_A_ROUND, AT_ONCE] = [20_000, 25, 20];

/** Events at the start of a round. */
const EVENTS = 20;

/** Milliseconds that may be spent on making a failing request as small as it can be. */
const SHRINK_MS = 15_000;

const SERVICE_NAME = 'faults';
const SEED = faultsSeed();

/** The prototypes that every value inherits from, as they were. */
const PROTOTYPES = [Object.prototype, Array.prototype, Function.prototype].map((prototype) => ({
  prototype,
  properties: new Map(Reflect.ownKeys(prototype).map((key) => [key, Object.getOwnPropertyDescriptor(prototype, key)])),
}));

/** An answer that is not as it should be, with what was asked. */
class WrongAnswer extends Error {}

describe(`the application, asked anything (FAULTS_SEED=${SEED})`, () => {
  const document = new OpenApiDocument();
  const check = new AnswerCheck(document);
  const statuses = new Map<string, Set<number>>();
  let api: TestApp;
  let client: HttpClient;
  let ledger: WriteLedger;
  let sent = 0;
  let shrinkUntil: number | undefined;

  beforeAll(async () => {
    api = await startEmptyApp({ SERVICE_NAME });
    client = new HttpClient(api.url, AT_ONCE);
    ledger = await WriteLedger.open(api, SERVICE_NAME);
  });

  afterAll(async () => {
    client.close();
    await ledger.close();
    await api.close();
  });

  /** Starts anew, so that lists stay short, with some events, whose ids and tags no guess would ever find. */
  async function storeSome(): Promise<KnownValues> {
    expect(await send('DELETE', `${api.url}/api/events?min_severity=info`)).toMatchObject({ status: 200 });
    const answers = await Promise.all(Array.from({ length: EVENTS }, () => createEvent(api)));
    const tags = answers.map(({ headers }) => headers.get('etag') ?? '');
    const cursors = ['', '&sort=timestamp'].map(async (order) => {
      const link = nextLink(await send('GET', `${api.url}/api/events?limit=1${order}`));
      return new URLSearchParams(link?.split('?')[1]).get('cursor') ?? '';
    });
    return {
      id: answers.map(({ body }) => String(body.id)),
      'If-Match': tags,
      'If-None-Match': tags,
      cursor: await Promise.all(cursors),
    };
  }

  async function ask(request: ApiRequest): Promise<ApiAnswer> {
    sent++;
    const answer = await client.send(request).catch((error: unknown) => {
      throw new WrongAnswer(`no answer: ${String(error)}\n${client.toCurl(request)}`);
    });
    const problem = check.problemOf(request, answer);
    if (problem !== undefined) {
      throw new WrongAnswer(`${problem}\n${client.toCurl(request)}\n${answer.status} ${answer.text.slice(0, 1000)}`);
    }
    const operation = check.operationOf(request);
    if (operation) statuses.set(operation.id, (statuses.get(operation.id) ?? new Set()).add(answer.status));
    return answer;
  }

  /** Sends requests at once, and expects that as much was written as was acknowledged, and no prototype touched. */
  async function askAll(batch: ApiRequest[]): Promise<void> {
    // Whatever passes ends the search for a smaller failure; the smallest until then is reported.
    if (shrinkUntil !== undefined && performance.now() > shrinkUntil) return;
    try {
      await askAndCompare(batch);
    } catch (error) {
      shrinkUntil ??= performance.now() + SHRINK_MS;
      throw error;
    }
  }

  async function askAndCompare(batch: ApiRequest[]): Promise<void> {
    // Left over from a batch that failed before it came to this.
    await ledger.take();
    restorePrototypes();
    const results = await Promise.allSettled(batch.map(ask));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason as Error;
    const answers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const expected = sum(answers.map((answer, at) => acknowledged(check.operationOf(batch[at]!), batch[at]!, answer)));
    const written = await ledger.take();
    const curls = batch.map((request, at) => `${client.toCurl(request)}\n  # ${answers[at]?.status}`).join('\n');
    if (JSON.stringify(written) !== JSON.stringify(expected)) {
      throw new WrongAnswer(
        `acknowledged were ${JSON.stringify(expected)}, written ${JSON.stringify(written)}, by one of\n${curls}`,
      );
    }
    const touched = restorePrototypes();
    if (touched.length > 0)
      throw new WrongAnswer(`prototypes got ${touched.map(String).join(', ')}, by one of\n${curls}`);
  }

  it('answers by its document, and writes what it acknowledges', async () => {
    for (let round = 0; sent < REQUESTS; round++) {
      const batches = fc.array(requests(document, await storeSome()), {
        minLength: 1,
        maxLength: AT_ONCE,
        size: 'max',
      });
      const result = await fc.check(fc.asyncProperty(batches, askAll), {
        seed: SEED + round,
        numRuns: RUNS_OF_A_ROUND,
      });
      if (result.failed) throw result.errorInstance;
    }
    expectEverythingAsked();
    record({
      requests: sent,
      also: `seed ${SEED}; no 5xx, every answer as documented, nothing written by what was refused`,
    });
  }, 900_000);

  /** Every operation, rightly and wrongly. */
  function expectEverythingAsked(): void {
    for (const { id, responses } of document.operations) {
      const seen = [...(statuses.get(id) ?? [])];
      expect([id, seen.some((status) => status < 300)]).toEqual([id, true]);
      for (const status of [400, 404, 415, 422]) {
        if (status in responses) expect([id, status, seen.includes(status)]).toEqual([id, status, true]);
      }
    }
  }
});

/** The properties of prototypes that were added or replaced; undone, or the next request would be blamed as well. */
function restorePrototypes(): PropertyKey[] {
  return PROTOTYPES.flatMap(({ prototype, properties }) =>
    Reflect.ownKeys(prototype).filter((key) => {
      const before = properties.get(key);
      if (before && isSame(before, Object.getOwnPropertyDescriptor(prototype, key))) return false;
      if (before) Object.defineProperty(prototype, key, before);
      else Reflect.deleteProperty(prototype, key);
      return true;
    }),
  );
}

function isSame(before: PropertyDescriptor, now: PropertyDescriptor | undefined): boolean {
  return before.value === now?.value && before.get === now?.get && before.set === now?.set;
}
