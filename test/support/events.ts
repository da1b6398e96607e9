import { STATUS_CODES } from 'node:http';
import { send, type Answer } from './http';
import { until } from './services';
import { startApp, type TestApp } from './test-app';

/** An event as the API answers it. */
export interface EventBody {
  id: number;
  event_type: string;
  severity: string;
  message: string;
  details: Record<string, unknown> | null;
  source: string | null;
  timestamp: string;
  created_at: string;
  updated_at: string;
}

/** An error as the API answers it. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  request_id: string;
  errors?: { detail: string; pointer?: string; parameter?: string }[];
}

/** The least that an event needs. */
export const EVENT = { event_type: 'deployment', severity: 'info', message: 'api 1.4.2 is live' } as const;

/** The only form of a time in an answer. */
export const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** What no error answer may show: a stack, SQL, the driver's words, a path of the file system. */
const INTERNALS =
  /\bat \S+ ?\(|\b(SELECT|INSERT|UPDATE|DELETE) .*\b(FROM|INTO|SET)\b|QueryFailed|syntax error|\/(node_modules|libs|work|home|src)\//;

/** The application without any event: its own start is stored in the background, so it is waited for and removed. */
export async function startEmptyApp(variables?: Record<string, string>): Promise<TestApp> {
  const api = await startApp(variables);
  await until(async () => (await countEvents(api)) === 1, 'the start is recorded');
  await api.sql('TRUNCATE system_events');
  return api;
}

/** How many events are stored, past the application. */
export async function countEvents(api: TestApp): Promise<number> {
  const [row] = await api.sql<{ count: number }>('SELECT count(*)::int AS count FROM system_events');
  return row?.count ?? 0;
}

/** Stores an event and expects that it succeeds. */
export async function createEvent(api: TestApp, fields: Record<string, unknown> = {}): Promise<Answer<EventBody>> {
  const answer = await send<EventBody>('POST', `${api.url}/api/events`, { json: { ...EVENT, ...fields } });
  expect([answer.status, answer.status === 201 || answer.text]).toEqual([201, true]);
  return answer;
}

/** Sends JSON text as it stands, what no serializer would write included. */
export function sendText(
  method: string,
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return send(method, url, { body, headers: { 'content-type': 'application/json', ...headers } });
}

/** The path of the next page; `undefined` on the last one. */
export function nextLink({ headers }: Answer): string | undefined {
  const link = headers.get('link');
  if (link === null) return undefined;
  const target = /^<(\/[^>]*)>; rel="next"$/.exec(link)?.[1];
  if (target === undefined) throw new Error(`not a relative link to the next page: ${link}`);
  return target;
}

/** Expects a complete problem+json answer that shows nothing of the inside, and returns it. */
export function expectProblem(answer: Answer, status: number): ProblemBody {
  expect([answer.status, answer.text]).toEqual([status, expect.any(String)]);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json(;|$)/);
  const { errors, ...problem } = answer.body as ProblemBody;
  expect(problem).toEqual({
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    detail: expect.stringMatching(/\w/) as string,
    instance: expect.stringMatching(/^\/[^?]*$/) as string,
    request_id: answer.headers.get('x-request-id'),
  });
  expect(errors === undefined).toBe(status !== 422);
  expect(answer.text).not.toMatch(INTERNALS);
  return answer.body as ProblemBody;
}

/** Expects a 422 that names `place`, a JSON pointer (`#/…`) or a parameter, as the only thing wrong. */
export function expectInvalid(answer: Answer, ...places: string[]): ProblemBody {
  const problem = expectProblem(answer, 422);
  expect(problem.errors?.map(({ pointer, parameter }) => pointer ?? parameter)).toEqual(places);
  for (const { detail, pointer, parameter } of problem.errors ?? []) {
    expect(detail).toMatch(/\w/);
    expect(pointer === undefined).toBe(parameter !== undefined);
  }
  return problem;
}
