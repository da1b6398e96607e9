import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { createDatabase, type TestDatabase } from '../support/databases';
import { testEnvironment } from '../support/environment';
import { createEvent } from '../support/events';
import { send } from '../support/http';
import { startRedis, until } from '../support/services';
import { startApp, type TestApp } from '../support/test-app';

// Two processes, one database, one Redis that fails in ways that leave old values in it.
describe('a change by one process, read by another', () => {
  let folder: string;
  let redis: Awaited<ReturnType<typeof startRedis>>;
  let database: TestDatabase;
  let writer: TestApp;
  let reader: TestApp;
  let ids: number[];

  beforeEach(async () => {
    const { postgresUrl, template } = testEnvironment();
    folder = mkdtempSync(join(tmpdir(), 'eventdeck-redis-'));
    redis = await startRedis(undefined, folder);
    database = await createDatabase(postgresUrl, template);
    const variables = { REDIS_URL: redis.url, CACHE_PREFIX: 'test:' };
    [writer, reader] = await Promise.all([startApp(variables, database), startApp(variables, database)]);
    ids = [];
    for (let index = 0; index < 3; index++) ids.push((await createEvent(writer, { message: 'old' })).body.id);
    await seenBy(reader);
  });

  afterEach(async () => {
    redis.process.kill('SIGCONT');
    await Promise.all([writer.close(), reader.close()]);
    await redis.stop();
    await database.drop();
    rmSync(folder, { recursive: true });
  });

  const seenBy = (api: TestApp): Promise<string[]> =>
    Promise.all(
      ids.map(async (id) => (await send<{ message: string }>('GET', `${api.url}/api/events/${id}`)).body.message),
    );

  async function changeAll(message: string): Promise<void> {
    for (const id of ids) {
      expect((await send('PATCH', `${writer.url}/api/events/${id}`, { json: { message } })).status).toBe(200);
    }
  }

  async function command(...words: [string, ...string[]]): Promise<unknown> {
    const client = new Redis(redis.url, { disconnectTimeout: 0 });
    const answer = await client.call(...words);
    await client.quit();
    return answer;
  }

  it('is seen at once while Redis is out of memory, and health says so', async () => {
    await command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await command('CONFIG', 'SET', 'maxmemory', '1mb');
    const other = (await createEvent(writer)).body.id;
    expect((await send('GET', `${writer.url}/api/events/${other}`)).status).toBe(200);
    await changeAll('new');
    expect(await seenBy(reader)).toEqual(['new', 'new', 'new']);
    expect((await send<{ status: string }>('GET', `${writer.url}/health`)).body.status).toBe('degraded');
  });

  it('is seen after Redis froze and thawed, without another request to the writer', async () => {
    redis.process.kill('SIGSTOP');
    await changeAll('new');
    redis.process.kill('SIGCONT');
    await until(async () => (await seenBy(reader)).every((message) => message === 'new'), 'the reader sees the change');
  });

  it('is seen after Redis froze and the writer stopped', async () => {
    redis.process.kill('SIGSTOP');
    await changeAll('new');
    redis.process.kill('SIGCONT');
    await writer.app.close();
    expect(await seenBy(reader)).toEqual(['new', 'new', 'new']);
  });

  it('is seen after Redis came back from an older state', async () => {
    await command('SAVE');
    await changeAll('new');
    expect(await seenBy(reader)).toEqual(['new', 'new', 'new']);
    await redis.stop();
    redis = await startRedis(Number(new URL(redis.url).port), folder);
    // Both are back, and nobody has asked them for anything that could have failed.
    const connections = async (): Promise<number> =>
      String(await command('CLIENT', 'LIST')).match(/^id=/gm)?.length ?? 0;
    await until(async () => (await connections()) === 3, 'both processes are connected again');
    for (const api of [reader, writer]) {
      const isUsed = async (): Promise<boolean> => {
        expect(await seenBy(api)).toEqual(['new', 'new', 'new']);
        return (await send<{ status: string }>('GET', `${api.url}/health`)).body.status === 'ok';
      };
      await until(isUsed, 'Redis is used again');
      await isUsed();
    }
  });
});
