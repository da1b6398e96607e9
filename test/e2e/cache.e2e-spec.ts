import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { createDatabase, type TestDatabase } from '../support/databases';
import { testEnvironment } from '../support/environment';
import { createEvent, startEmptyApp, type EventBody } from '../support/events';
import { send } from '../support/http';
import { startRedis, until } from '../support/services';
import { startApp, type TestApp } from '../support/test-app';

const READERS = 6;

const read = (api: TestApp, path: string): ReturnType<typeof send<EventBody>> =>
  send('GET', `${api.url}/api/events/${path}`);
/** One after another, from the first again after the last. */
function turn<T>(items: readonly T[], index: number): T {
  const item = items[index % items.length];
  if (item === undefined) throw new Error('there are none');
  return item;
}

const change = async (api: TestApp, id: number, json: object): Promise<void> => {
  const answer = await send('PATCH', `${api.url}/api/events/${id}`, { json });
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
};

describe.each([
  ['in Redis, two processes', { CACHE: 'redis' }, 2],
  ['in memory, one process', { CACHE: 'memory' }, 1],
  ['off, two processes', { CACHE: 'off' }, 2],
] as const)('the cache, %s,', (_name, mode, processes) => {
  let database: TestDatabase;
  let apis: TestApp[];

  beforeAll(async () => {
    const { postgresUrl, template } = testEnvironment();
    database = await createDatabase(postgresUrl, template);
    const variables = { ...mode, CACHE_PREFIX: `test-${randomBytes(6).toString('hex')}:` };
    apis = await Promise.all(Array.from({ length: processes }, () => startApp(variables, database)));
  });

  afterAll(async () => {
    await Promise.all(apis.map((api) => api.close()));
    await database.drop();
  });

  /** `rounds` changes through one process after another, while readers fill the caches all the time. */
  async function whileReading(
    paths: string[],
    rounds: number,
    round: (writer: TestApp, index: number) => Promise<void>,
  ) {
    let reading = true;
    const readers = Array.from({ length: READERS }, async (_, index) => {
      while (reading) await read(turn(apis, index), turn(paths, index));
    });
    try {
      for (let index = 0; index < rounds; index++) await round(turn(apis, index), index);
    } finally {
      reading = false;
      await Promise.all(readers);
    }
  }

  it('never shows a version older than the acknowledged one, under its id, in its type, in the counts', async () => {
    const [writer] = apis as [TestApp];
    const { id } = (await createEvent(writer, { event_type: 'watched' })).body;
    const paths = [String(id), 'type/watched', 'stats'];
    await whileReading(paths, 150, async (changer, index) => {
      const message = `version ${index}`;
      const event_type = index % 10 === 9 ? 'elsewhere' : 'watched';
      await change(changer, id, { message, event_type });
      await Promise.all(
        apis.map(async (api) => {
          expect((await read(api, String(id))).body).toMatchObject({ message, event_type });
          const list = (await read(api, 'type/watched')).body as unknown as EventBody[];
          expect(list.map((event) => event.message)).toEqual(event_type === 'watched' ? [message] : []);
          const { events_by_type } = (await read(api, 'stats')).body as unknown as { events_by_type: object };
          expect(events_by_type).toHaveProperty(event_type, 1);
        }),
      );
    });
  });

  it('counts what was created and forgets what was deleted', async () => {
    await whileReading(['type/short', 'stats'], 30, async (writer, index) => {
      const { id } = (await createEvent(writer, { event_type: 'short' })).body;
      const seen = async (): Promise<[number, number][]> =>
        Promise.all(
          apis.map(async (api): Promise<[number, number]> => {
            const list = (await read(api, 'type/short')).body as unknown as EventBody[];
            return [list.length, (await read(api, String(id))).status];
          }),
        );
      expect(await seen()).toEqual(apis.map(() => [1, 200]));
      const deleter = turn(apis, index + 1);
      expect((await send('DELETE', `${deleter.url}/api/events/${id}`)).status).toBe(204);
      expect(await seen()).toEqual(apis.map(() => [0, 404]));
    });
  });
});

describe('the cache in Redis', () => {
  const prefix = `test-${randomBytes(6).toString('hex')}:`;
  let api: TestApp;
  let redis: Redis;
  let id: number;

  beforeAll(async () => {
    redis = new Redis(testEnvironment().redisUrl);
    api = await startEmptyApp({ CACHE_PREFIX: prefix, CACHE_TYPE_TTL_SECONDS: '7', HEARTBEAT_SECONDS: '3600' });
  });

  afterAll(async () => {
    await api.close();
    await redis.quit();
  });

  beforeEach(async () => {
    ({ id } = (await createEvent(api, { event_type: 'kept' })).body);
  });

  it('keeps each kind of answer under its key for its time', async () => {
    for (const path of [String(id), 'type/kept', 'stats']) expect((await read(api, path)).status).toBe(200);
    const seconds = { [`events:id:${id}`]: 300, 'events:type:kept': 7, 'events:stats': 30 };
    for (const [key, ttl] of Object.entries(seconds)) {
      const left = await redis.pttl(prefix + key);
      expect([key, left > (ttl - 5) * 1000, left <= ttl * 1000]).toEqual([key, true, true]);
    }
    const values = (await redis.keys(`${prefix}*`)).filter((key) => !key.startsWith(`${prefix}lease:`));
    expect(values.sort()).toEqual(
      Object.keys(seconds)
        .map((key) => prefix + key)
        .sort(),
    );
  });

  it('keeps nothing but the first page of a type', async () => {
    await read(api, 'type/paged?limit=5');
    await read(api, 'type/paged?offset=1');
    expect(await redis.keys(`${prefix}*type:paged`)).toEqual([]);
  });

  it('leaves nothing of what is not there: neither missing events nor unknown types', async () => {
    for (const path of ['999999', 'type/unknown']) {
      expect((await read(api, path)).status).toBe(path === '999999' ? 404 : 200);
      const left = async (): Promise<boolean> =>
        (await redis.keys(`${prefix}*${path.replace('type/', '')}`)).length === 0;
      await until(left, `nothing is kept of ${path}`);
    }
    // Once it is there, it is kept.
    await createEvent(api, { event_type: 'unknown' });
    await read(api, 'type/unknown');
    expect(await redis.exists(`${prefix}events:type:unknown`)).toBe(1);
  });

  it('reads a row once for 200 requests at once', async () => {
    const statements = jest.spyOn(Client.prototype, 'query');
    const answers = await Promise.all(Array.from({ length: 200 }, () => read(api, String(id))));
    const texts = statements.mock.calls.map(([statement]) => String(statement));
    statements.mockRestore();
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(texts.filter((text) => text.includes('"system_events"'))).toHaveLength(1);
  });

  it.each(['no JSON at all', '"another value"', '{"json":{}}', 'null', ''])(
    'reads past %j under its keys',
    async (garbage) => {
      const { text } = await read(api, String(id));
      for (const key of [`events:id:${id}`, 'events:type:kept', 'events:stats']) {
        for (const place of [prefix + key, `${prefix}lease:${key}`]) await redis.set(place, garbage);
      }
      expect(await read(api, String(id))).toMatchObject({ status: 200, text });
      for (const path of ['type/kept', 'stats']) expect((await read(api, path)).status).toBe(200);
      await change(api, id, { message: `after ${garbage}` });
      expect((await read(api, String(id))).body).toMatchObject({ message: `after ${garbage}` });
      expect((await read(api, 'type/kept')).text).toContain(JSON.stringify(`after ${garbage}`));
    },
  );

  it('reads past values of another type under its keys', async () => {
    const keys = [`events:id:${id}`, 'events:type:kept', 'events:stats'].flatMap((key) => [key, `lease:${key}`]);
    for (const key of keys) {
      await redis.del(prefix + key);
      await redis.lpush(prefix + key, 'one');
    }
    for (const path of [String(id), 'type/kept', 'stats']) expect((await read(api, path)).status).toBe(200);
    await change(api, id, { message: 'after a list' });
    expect((await read(api, String(id))).body).toMatchObject({ message: 'after a list' });
  });
});

describe('the cache while Redis is away', () => {
  it.each(['killed', 'frozen'] as const)(
    'changes no answer when Redis is %s, and shows nothing old when it is back',
    async (how) => {
      let redis = await startRedis();
      const api = await startEmptyApp({ REDIS_URL: redis.url });
      try {
        const { id } = (await createEvent(api, { event_type: 'kept' })).body;
        const paths = [String(id), 'type/kept', 'stats'];
        const statuses = async (): Promise<number[]> =>
          Promise.all(paths.map(async (path) => (await read(api, path)).status));
        expect(await statuses()).toEqual([200, 200, 200]);

        if (how === 'killed') await redis.stop();
        else redis.process.kill('SIGSTOP');
        const requests = Array.from({ length: 20 }, async (_, index) => {
          await createEvent(api, { event_type: 'meanwhile' });
          await change(api, id, { details: { index } });
          return statuses();
        });
        expect(new Set((await Promise.all(requests)).flat())).toEqual(new Set([200]));
        await change(api, id, { message: 'changed while Redis was away' });
        expect((await read(api, String(id))).body).toMatchObject({ message: 'changed while Redis was away' });
        const events_by_type = { kept: 1, meanwhile: 20 };
        expect((await read(api, 'stats')).body).toMatchObject({ events_by_type });

        if (how === 'killed') redis = await startRedis(Number(new URL(redis.url).port));
        else redis.process.kill('SIGCONT');
        const isUsed = async (): Promise<boolean> => {
          expect((await read(api, String(id))).body).toMatchObject({ message: 'changed while Redis was away' });
          expect((await read(api, 'type/kept')).text).toContain('changed while Redis was away');
          expect((await read(api, 'stats')).body).toMatchObject({ events_by_type });
          return (await send<{ status: string }>('GET', `${api.url}/health`)).body.status === 'ok';
        };
        await until(isUsed, 'Redis is used again');
        await isUsed();
      } finally {
        await api.close();
        await redis.stop();
      }
    },
  );
});
