import { Redis } from 'ioredis';
import { linesWith, useProcesses, type ApiProcess } from '../support/api-process';
import { useDatabases } from '../support/databases';
import { send } from '../support/http';
import { freePort, startRedis, until } from '../support/services';
import { record } from './support/measurements';
import { ShownVersions } from './support/shown-versions';

/** Changes while a fault lasts. */
const CHANGES = 5;

const GARBAGE = ['no JSON at all', '"another value"', '{"json":{}}', '[]', '7', ''];

type RedisProcess = Awaited<ReturnType<typeof startRedis>>;

interface Fault {
  name: string;
  /** What health tells of it. */
  reason: string;
  begin: (redis: RedisProcess) => Promise<unknown>;
  /** @returns the Redis that is there afterwards */
  end: (redis: RedisProcess) => Promise<RedisProcess>;
  /** How often it is logged that Redis is not available. */
  warnings: number;
}

const restart = ({ url }: RedisProcess): Promise<RedisProcess> => startRedis(Number(new URL(url).port));
const configure = async (redis: RedisProcess, maxmemory: string): Promise<RedisProcess> => {
  const settings = ['CONFIG', 'SET', 'maxmemory', maxmemory, 'maxmemory-policy', 'noeviction'] as const;
  await command(redis, ...settings);
  return redis;
};
const signal = (redis: RedisProcess, name: NodeJS.Signals): Promise<RedisProcess> => {
  redis.process.kill(name);
  return Promise.resolve(redis);
};

const FAULTS: Fault[] = [
  {
    name: 'killed',
    reason: 'Redis is not used: there is no connection; reads go to the database',
    begin: (redis) => redis.stop(),
    end: restart,
    warnings: 1,
  },
  {
    name: 'frozen',
    reason: 'Redis is not used: it does not answer in time; reads go to the database',
    begin: (redis) => signal(redis, 'SIGSTOP'),
    end: (redis) => signal(redis, 'SIGCONT'),
    warnings: 1,
  },
  {
    name: 'out of memory',
    reason: 'Redis: it refuses a command (OOM); reads go to the database',
    begin: (redis) => configure(redis, '1mb'),
    end: (redis) => configure(redis, '0'),
    warnings: 0,
  },
];

async function command({ url }: { url: string }, ...words: [string, ...string[]]): Promise<unknown> {
  const client = new Redis(url, { disconnectTimeout: 0 });
  const answer = await client.call(...words);
  await client.quit();
  return answer;
}

describe('Redis', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();
  let redis: RedisProcess | undefined;

  afterEach(async () => {
    await redis?.stop();
    redis = undefined;
  });

  async function start(redisUrl: string): Promise<ApiProcess> {
    const { url } = await createDatabase();
    return launch({ DATABASE_URL: url, CACHE: 'redis', REDIS_URL: redisUrl }).listening();
  }

  async function healthOf({ url }: ApiProcess): Promise<{ answer: number; status: string; redis: object }> {
    const { status, body } = await send<{ status: string; details: { redis: object } }>('GET', `${url}/health`);
    return { answer: status, status: body.status, redis: body.details.redis };
  }

  async function expectRight(api: ApiProcess, versions: ShownVersions): Promise<void> {
    for (let change = 0; change < CHANGES; change++) {
      await versions.change(api);
      expect(await versions.shownBy(api)).toEqual(versions.latest);
    }
  }

  /** Resolves once answers are kept in Redis again; milliseconds from now. */
  async function untilUsed(api: ApiProcess, versions: ShownVersions, used: RedisProcess): Promise<number> {
    const start = performance.now();
    const isUsed = async (): Promise<boolean> => {
      expect(await versions.shownBy(api)).toEqual(versions.latest);
      return (await command(used, 'EXISTS', ...versions.keys)) === versions.keys.length;
    };
    await until(isUsed, 'answers are kept in Redis', 30_000);
    const recovery = performance.now() - start;
    // On a busy machine a command may take longer than its limit once more, and health says so until the next attempt.
    const isUp = async (): Promise<boolean> => ((await healthOf(api)).redis as { status?: string }).status === 'up';
    await until(isUp, 'health says that Redis is used', 30_000);
    expect(await healthOf(api)).toMatchObject({ answer: 200 });
    return recovery;
  }

  it.each(FAULTS)('is $name: right answers, health tells why, and it is used again', async (fault) => {
    redis = await startRedis();
    const api = await start(redis.url);
    const versions = new ShownVersions();
    await versions.change(api);
    await untilUsed(api, versions, redis);
    await fault.begin(redis);
    versions.slowestMs = 0;
    await expectRight(api, versions);
    const slowestMs = Math.round(versions.slowestMs);
    expect(await healthOf(api)).toEqual({
      answer: 200,
      status: 'degraded',
      redis: { status: 'degraded', message: fault.reason },
    });
    expect(linesWith(api, 'Redis is not available')).toHaveLength(fault.warnings);
    redis = await fault.end(redis);
    const recoveryMs = [await untilUsed(api, versions, redis)];
    await expectRight(api, versions);
    record({ rounds: 1, requests: versions.requests, recoveryMs, also: `slowest request ${slowestMs} ms` });
  });

  it('is away at the start: right answers, health tells why, and it is used once it is there', async () => {
    const port = await freePort();
    const api = await start(`redis://user:secret@127.0.0.1:${port}`);
    const versions = new ShownVersions();
    await expectRight(api, versions);
    const slowestMs = Math.round(versions.slowestMs);
    expect(await healthOf(api)).toMatchObject({
      answer: 200,
      status: 'degraded',
      redis: { message: 'Redis is not used: there is no connection; reads go to the database' },
    });
    expect(linesWith(api, 'Redis is not available')).toHaveLength(1);
    expect(api.output()).not.toContain('secret');
    redis = await startRedis(port);
    await command(redis, 'ACL', 'SETUSER', 'user', 'on', '>secret', '~*', '+@all');
    const recoveryMs = [await untilUsed(api, versions, redis)];
    record({ rounds: 1, requests: versions.requests, recoveryMs, also: `slowest request ${slowestMs} ms` });
  });

  it('holds garbage under our keys: right answers, one warning, and it is replaced', async () => {
    redis = await startRedis();
    const api = await start(redis.url);
    const versions = new ShownVersions();
    await versions.change(api);
    for (const garbage of GARBAGE) {
      const keys = ['lease:', ...versions.keys, ...versions.keys.map((key) => `lease:${key}`)];
      for (const key of keys) {
        await command(redis, 'SET', key, garbage);
        expect(await versions.shownBy(api)).toEqual(versions.latest);
        expect(await command(redis, 'GET', key)).not.toBe(garbage);
      }
      for (const key of keys) await command(redis, 'SET', key, garbage);
      await expectRight(api, versions);
    }
    expect(await healthOf(api)).toMatchObject({ answer: 200, status: 'ok' });
    expect(foreignWarnings(api)).toEqual(['warn']);
    expect(api.output()).not.toContain('no JSON at all');
    record({ rounds: GARBAGE.length * 7, requests: versions.requests, also: 'one warning' });
  });

  it('holds values of another type under our keys: right answers, one warning, and they are replaced', async () => {
    redis = await startRedis();
    const api = await start(redis.url);
    const versions = new ShownVersions();
    await versions.change(api);
    const keys = ['lease:', ...versions.keys, ...versions.keys.map((key) => `lease:${key}`)];
    for (const key of keys) {
      await command(redis, 'DEL', key);
      await command(redis, 'RPUSH', key, 'one');
      expect(await versions.shownBy(api)).toEqual(versions.latest);
      expect(await command(redis, 'TYPE', key)).toBe('string');
      await command(redis, 'DEL', key);
      await command(redis, 'RPUSH', key, 'one');
      await expectRight(api, versions);
    }
    expect(await healthOf(api)).toMatchObject({ answer: 200, status: 'ok' });
    expect(foreignWarnings(api)).toEqual(['warn']);
    record({ rounds: keys.length * 2, requests: versions.requests, also: 'one warning' });
  });

  /** The level of each line that tells of a value that is not ours. */
  function foreignWarnings(api: ApiProcess): unknown[] {
    return linesWith(api, 'a value that is not ours').map((line) => (JSON.parse(line) as { level: string }).level);
  }
});
