import { Client } from 'pg';
import { useProcesses, type ApiProcess } from '../support/api-process';
import { query, takeAway, useDatabases } from '../support/databases';
import { EVENT } from '../support/events';
import { send } from '../support/http';
import { sendRaw } from '../support/raw-http';
import { freePort, until } from '../support/services';

const TOKEN = 'token-8f14e45f';
const AUTHORIZATION = { authorization: `Bearer ${TOKEN}` };

interface Line {
  level: string;
  msg: string;
  request_id?: string;
  method?: string;
  path?: string;
  status?: number;
  ms?: number;
}

/** Every line of the log; each is one JSON object. */
function linesOf(api: ApiProcess): Line[] {
  const lines = api.output().trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Line);
}

/** The request lines, once one with `id` is among them. */
async function requestsUpTo(api: ApiProcess, id: string): Promise<Line[]> {
  await until(
    () => linesOf(api).some(({ request_id, msg }) => request_id === id && msg === 'request'),
    `${id} is logged`,
  );
  return linesOf(api).filter(({ msg }) => msg === 'request');
}

describe('the log', () => {
  // In this order: the processes end before their databases go.
  const launch = useProcesses();
  const createDatabase = useDatabases();

  const ask = (api: ApiProcess, id: string, method: string, path: string, json?: unknown): ReturnType<typeof send> =>
    send(method, api.url + path, { json, headers: { ...AUTHORIZATION, 'x-request-id': id } });

  it('has one JSON line for each request at debug', async () => {
    const { url } = await createDatabase();
    const api = await launch({ DATABASE_URL: url, LOG_LEVEL: 'debug', API_TOKEN: TOKEN }).listening();
    await ask(api, 'r1', 'GET', '/api/events?source=private');
    await ask(api, 'r2', 'POST', '/api/events', EVENT);
    await ask(api, 'r3', 'GET', '/api/events/999999?');
    await ask(api, 'r4', 'GET', '/nothing?at=all');
    await ask(api, 'r5', 'GET', '/health/live');
    const requests = await requestsUpTo(api, 'r5');
    expect(
      requests.map(({ level, request_id, method, path, status }) => [level, request_id, method, path, status]),
    ).toEqual([
      ['debug', 'r1', 'GET', '/api/events', 200],
      ['debug', 'r2', 'POST', '/api/events', 201],
      ['info', 'r3', 'GET', '/api/events/999999', 404],
      ['info', 'r4', 'GET', '/nothing', 404],
      ['debug', 'r5', 'GET', '/health/live', 200],
    ]);
    for (const { ms } of requests) expect(Number.isInteger(ms)).toBe(true);
  });

  it('has only what failed or was slow at info', async () => {
    const { url } = await createDatabase();
    const variables = { DATABASE_URL: url, API_TOKEN: TOKEN, DATABASE_STATEMENT_TIMEOUT_MS: '60000' };
    const api = await launch({ ...variables, SLOW_REQUEST_MS: '2000' }).listening();
    await ask(api, 'missing', 'GET', '/api/events/999999');
    await ask(api, 'wrong', 'POST', '/api/events', {});
    await ask(api, 'stranger', 'GET', '/health/live');
    const blocker = new Client({ connectionString: url });
    await blocker.connect();
    try {
      await blocker.query('BEGIN; LOCK TABLE system_events IN ACCESS EXCLUSIVE MODE');
      const slow = ask(api, 'slow', 'GET', '/api/events');
      const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
        AND now() - query_start > interval '2100 milliseconds'`;
      await until(async () => (await query(url, waiting)).length > 0, 'the request waits');
      await blocker.query('COMMIT');
      expect((await slow).status).toBe(200);
    } finally {
      await blocker.end();
    }
    const requests = await requestsUpTo(api, 'slow');
    expect(requests.map(({ level, request_id, status }) => [level, request_id, status])).toEqual([
      ['info', 'missing', 404],
      ['info', 'wrong', 422],
      ['warn', 'slow', 200],
    ]);
  });

  it('tells once why requests are answered with 503, and each of them at info', async () => {
    const { url } = await createDatabase();
    const api = await launch({ DATABASE_URL: url, API_TOKEN: TOKEN, CACHE: 'off' }).listening();
    const bringBack = await takeAway(url);
    for (let round = 0; round < 5; round++) await ask(api, `away ${round}`, 'GET', '/api/events');
    await bringBack();
    await ask(api, 'last', 'GET', '/nothing');
    const refused = (await requestsUpTo(api, 'last')).filter(({ status }) => status === 503);
    expect(refused.map(({ level }) => level)).toEqual(Array(5).fill('info'));
    const reasons = linesOf(api).filter(({ msg }) => msg.includes('503'));
    expect(reasons.length).toBeLessThan(refused.length);
    for (const line of reasons)
      expect(line).toMatchObject({ level: 'warn', reason: expect.stringMatching(/\w/) as string });
    const told = reasons.map((line) => JSON.stringify({ ...line, time: undefined, request_id: undefined }));
    expect(new Set(told).size).toBe(told.length);
  });

  it('has no body, token, query or password, whatever goes wrong', async () => {
    const { url } = await createDatabase();
    const password = new URL(url).password;
    const api = await launch({ DATABASE_URL: url, LOG_LEVEL: 'trace', API_TOKEN: TOKEN }).listening();
    const secret = 'secret-5d41402a';
    const event = { ...EVENT, message: secret, details: { [secret]: secret }, source: secret };
    const sendAll = async (round: string): Promise<void> => {
      await ask(api, `${round}1`, 'POST', '/api/events', event);
      await ask(api, `${round}2`, 'PATCH', '/api/events/1', { message: secret });
      await ask(api, `${round}3`, 'POST', '/api/events', { ...event, severity: secret });
      await ask(api, `${round}4`, 'GET', `/api/events?source=${secret}&severity=${secret}`);
      await send('POST', `${api.url}/api/events`, {
        body: `{"message":"${secret}`,
        headers: { ...AUTHORIZATION, 'content-type': 'application/json', cookie: `session=${secret}` },
      });
      await send('GET', `${api.url}/api/events`, { headers: { authorization: `Bearer ${secret}` } });
      await sendRaw(api.url, `GET /${secret} HTTP/1.1\r\nX-${secret}\r\n\r\n`);
      await ask(api, `${round}5`, 'GET', '/health');
      await requestsUpTo(api, `${round}5`);
    };
    await sendAll('here');
    // A rule of the database that the service does not know: an error it did not expect.
    await query(url, `ALTER TABLE system_events ADD CONSTRAINT odd CHECK (message <> '${secret}') NOT VALID`);
    await query(url, 'ALTER TABLE system_events RENAME COLUMN source TO origin');
    await sendAll('broken');
    await takeAway(url);
    await sendAll('away');
    expect(await api.stop()).toBe(0);
    const output = api.output();
    expect(output).toContain('"status":503');
    expect(output).toContain('"status":500');
    // A server of one's own may let the loopback in without a password.
    const secrets = [secret, TOKEN, url, password, 'postgres://'].filter((text) => text !== '');
    for (const text of secrets) expect(output).not.toContain(text);
  });

  it('has no password of a database or a Redis that was never there', async () => {
    const port = await freePort();
    const api = await launch({
      DATABASE_URL: `postgres://deck:hunter2@127.0.0.1:${port}/deck`,
      REDIS_URL: `redis://deck:hunter3@127.0.0.1:${port}`,
      LOG_LEVEL: 'trace',
    }).listening();
    expect((await send('GET', `${api.url}/health`)).status).toBe(503);
    expect((await send('GET', `${api.url}/api/events/1`)).status).toBe(503);
    expect(await api.stop()).toBe(0);
    expect(api.output()).toContain('database not available');
    expect(api.output()).not.toMatch(/hunter[23]|postgres:\/\/|redis:\/\//);
  });
});
