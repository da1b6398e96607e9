import { EVENT, expectInvalid, expectProblem, startEmptyApp, type EventBody } from '../support/events';
import { send, type Answer } from '../support/http';
import { until } from '../support/services';
import { startApp, type TestApp } from '../support/test-app';

describe('Idempotency-Key on POST /api/events', () => {
  let api: TestApp;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  afterAll(() => api.close());

  const post = (key: string, json: unknown = EVENT, path = '/api/events'): Promise<Answer<EventBody>> =>
    send('POST', api.url + path, { json, headers: { 'idempotency-key': key } });

  const stored = async (message: string): Promise<number> => {
    const [row] = await api.sql<{ n: number }>('SELECT count(*)::int AS n FROM system_events WHERE message = $1', [
      message,
    ]);
    return row?.n ?? 0;
  };

  it('answers the same again, and stores once', async () => {
    const event = { ...EVENT, message: 'once', details: { b: 1, a: [2] }, source: 'api' };
    const first = await post('a key', event);
    const again = await post('a key', event);
    expect([first.status, again.status, again.text]).toEqual([201, 201, first.text]);
    for (const name of ['location', 'etag', 'content-type']) {
      expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)]);
      expect(again.headers.get(name)).toMatch(/\w/);
    }
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await stored('once')).toBe(1);
    expect((await send('GET', `${api.url}/api/events/${first.body.id}`)).text).toBe(first.text);
  });

  it('answers as at first, though the event was changed or deleted meanwhile', async () => {
    const first = await post('changed');
    await send('PATCH', `${api.url}/api/events/${first.body.id}`, { json: { message: 'changed' } });
    expect((await post('changed')).text).toBe(first.text);
    await send('DELETE', `${api.url}/api/events/${first.body.id}`);
    expect((await post('changed')).text).toBe(first.text);
  });

  it('takes a key in quotes, as the draft writes it, for the same', async () => {
    const first = await post('quoted');
    expect((await post('"quoted"')).text).toBe(first.text);
  });

  it('tells keys apart by every character, spaces and upper and lower case too', async () => {
    const keys = ['apart', 'Apart', 'a part', 'a  part', 'apart, apart', "'apart'", '"a"part"', '"  "'];
    const answers = await Promise.all(keys.map((key) => post(key)));
    expect(answers.map(({ status, headers }) => [status, headers.get('idempotent-replayed')])).toEqual(
      keys.map(() => [201, null]),
    );
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(keys.length);
  });

  it('refuses the key with another body, be it only another order of fields', async () => {
    await post('another body', { ...EVENT, message: 'first' });
    expectInvalid(await post('another body', { ...EVENT, message: 'second' }), 'Idempotency-Key');
    expectInvalid(
      await post('another body', { message: 'first', severity: EVENT.severity, event_type: EVENT.event_type }),
      'Idempotency-Key',
    );
    expect(await stored('second')).toBe(0);
  });

  it('does not use a key up for a request that is refused', async () => {
    expectInvalid(await post('refused', { ...EVENT, severity: 'fatal' }), '#/severity');
    expectProblem(
      await send('POST', `${api.url}/api/events`, {
        body: '{',
        headers: { 'content-type': 'application/json', 'idempotency-key': 'refused' },
      }),
      400,
    );
    expect((await post('refused', { ...EVENT, message: 'allowed' })).status).toBe(201);
  });

  it('ignores a slash at the end of the path', async () => {
    const first = await post('slash');
    expect((await post('slash', EVENT, '/api/events/')).text).toBe(first.text);
  });

  it('takes a key of 255 characters, and none that is longer, empty or not visible ASCII', async () => {
    expect((await post('k'.repeat(255))).status).toBe(201);
    expect((await post(`"${'k'.repeat(255)}"`)).headers.get('idempotent-replayed')).toBe('true');
    for (const key of ['k'.repeat(256), `"${'k'.repeat(256)}"`, '', '""', 'ké', 'a\tb']) {
      expectInvalid(await post(key), 'Idempotency-Key');
    }
    expect((await post("'; DROP TABLE idempotency_keys; --")).status).toBe(201);
  });

  it('stores one event for 50 parallel requests with one key', async () => {
    for (let round = 0; round < 5; round++) {
      const event = { ...EVENT, message: `parallel ${round}` };
      const answers = await Promise.all(Array.from({ length: 50 }, () => post(`parallel ${round}`, event)));
      const created = answers.filter(({ status }) => status === 201);
      expect(new Set(created.map(({ text }) => text)).size).toBe(1);
      for (const answer of answers) if (answer.status !== 201) expectProblem(answer, 409);
      expect(await stored(event.message)).toBe(1);
    }
  });

  it('gives each of many parallel keys its own event', async () => {
    const keys = Array.from({ length: 500 }, (_, index) => `own ${index}`);
    const first = await Promise.all(keys.map((key) => post(key, { ...EVENT, message: key })));
    const again = await Promise.all(keys.map((key) => post(key, { ...EVENT, message: key })));
    expect(first.map(({ body }) => body.message)).toEqual(keys);
    expect(first.map(({ headers, body }) => headers.get('location') === `/api/events/${body.id}`)).not.toContain(false);
    expect(again.map(({ text }) => text)).toEqual(first.map(({ text }) => text));
    expect(again.every(({ headers }) => headers.get('idempotent-replayed') === 'true')).toBe(true);
  });

  it('answers 409 while another process is storing under the key, and the others go on', async () => {
    await api.sql(`CREATE FUNCTION wait_for_lock() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF new.message = 'slow' THEN PERFORM pg_advisory_xact_lock(4711); END IF; RETURN new; END $$`);
    await api.sql(
      'CREATE TRIGGER wait_for_lock BEFORE INSERT ON system_events FOR EACH ROW EXECUTE FUNCTION wait_for_lock()',
    );
    const other = await startApp({ CACHE: 'off' }, { url: api.databaseUrl, drop: () => Promise.resolve() });
    try {
      const holder = api.sql(
        `DO $$ BEGIN PERFORM pg_advisory_xact_lock(4711);
         WHILE NOT EXISTS (SELECT FROM pg_tables WHERE tablename = 'let_go') LOOP PERFORM pg_sleep(0.02); END LOOP; END $$`,
      );
      await until(
        async () => (await api.sql(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711`)).length > 0,
        'the lock is held',
      );
      const slow = post('slow key', { ...EVENT, message: 'slow' });
      await until(
        async () =>
          (await api.sql(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted`)).length >
          0,
        'the event is being stored',
      );
      const elsewhere = `${other.url}/api/events`;
      const keyed = (key: string, message: string): Promise<Answer> =>
        send('POST', elsewhere, { json: { ...EVENT, message }, headers: { 'idempotency-key': key } });
      const [same, quick] = await Promise.all([keyed('slow key', 'slow'), keyed('quick key', 'quick')]);
      await api.sql('CREATE TABLE let_go ()');
      await holder;
      expectProblem(same, 409);
      expect(quick.status).toBe(201);
      const first = await slow;
      expect([first.status, (await keyed('slow key', 'slow')).text]).toEqual([201, first.text]);
      expect(await stored('slow')).toBe(1);
    } finally {
      await other.close();
      await api.sql('DROP TRIGGER wait_for_lock ON system_events');
    }
  });

  it('stores one event when two processes race for a key, and both answer alike', async () => {
    const other = await startApp({ CACHE: 'off' }, { url: api.databaseUrl, drop: () => Promise.resolve() });
    try {
      const keys = Array.from({ length: 300 }, (_, index) => `race ${index}`);
      const request = (url: string, key: string): Promise<Answer> =>
        send('POST', `${url}/api/events`, { json: { ...EVENT, message: key }, headers: { 'idempotency-key': key } });
      const pairs = await Promise.all(
        keys.map((key, index) => {
          const urls = index % 2 ? [api.url, other.url] : [other.url, api.url];
          return Promise.all(urls.map((url) => request(url, key)));
        }),
      );
      for (const pair of pairs) {
        const statuses = pair.map(({ status }) => status);
        expect(statuses.every((status) => status === 201 || status === 409)).toBe(true);
        expect(statuses).toContain(201);
        expect(new Set(pair.filter(({ status }) => status === 201).map(({ text }) => text)).size).toBe(1);
      }
      const [row] = await api.sql(`SELECT count(*)::int AS n FROM system_events WHERE message LIKE 'race %'`);
      expect(row).toEqual({ n: keys.length });
    } finally {
      await other.close();
    }
  });

  it('keeps a key for 24 hours', async () => {
    const first = await post('old');
    const young = await post('young');
    await api.sql(
      `UPDATE idempotency_keys SET created_at = now() - CASE body WHEN $1 THEN interval '24 hours 1 second' ELSE interval '23 hours 59 minutes' END`,
      [first.text],
    );
    // Old ones are removed at the start of a process, and later every ten minutes.
    const other = await startApp({ CACHE: 'off' }, { url: api.databaseUrl, drop: () => Promise.resolve() });
    try {
      const old = `SELECT FROM idempotency_keys WHERE created_at < now() - interval '24 hours'`;
      await until(async () => (await api.sql(old)).length === 0, 'the old key is removed');
      expect((await post('young')).text).toBe(young.text);
      const again = await post('old');
      expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, null]);
      expect(again.body.id).toBeGreaterThan(first.body.id);
    } finally {
      await other.close();
    }
  });
});
