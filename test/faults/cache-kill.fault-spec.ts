import { Client } from 'pg';
import { Redis } from 'ioredis';
import { useProcesses, type ApiProcess } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { send } from '../support/http';
import { startRedis, until } from '../support/services';
import { useStops } from '../support/stops';
import { record } from './support/measurements';
import { useTcpProxies } from './support/tcp-proxy';

/** Key of the advisory lock that every commit of a change waits for. */
const COMMIT_LOCK = 815;

/** What is asked for after a change. */
const VIEWS = ['events/1', 'events/2', 'events/type/kept', 'events/type/moved', 'events/stats'];
const KEYS = ['events:id:1', 'events:id:2', 'events:type:kept', 'events:type:moved', 'events:stats'];

interface Change {
  name: string;
  method: string;
  path: string;
  content: Parameters<typeof send>[2];
  /** What is told when the change is asked for again, of another process. */
  again?: number;
}

const event = (event_type: string): object => ({ event_type, severity: 'info', message: `a new one in ${event_type}` });
const line = `${JSON.stringify(event('kept'))}\n`;
const CHANGES: Change[] = [
  { name: 'an update', method: 'PATCH', path: 'events/1', content: { json: { event_type: 'moved' } }, again: 200 },
  { name: 'a deletion', method: 'DELETE', path: 'events/1', content: {}, again: 404 },
  { name: 'a deletion by filters', method: 'DELETE', path: 'events?event_type=kept', content: {}, again: 200 },
  { name: 'an event', method: 'POST', path: 'events', content: { json: event('moved') } },
  {
    name: 'an event with a key',
    method: 'POST',
    path: 'events',
    content: { json: event('kept'), headers: { 'idempotency-key': 'killed' } },
    again: 201,
  },
  { name: 'a batch', method: 'POST', path: 'events/batch', content: { json: [event('kept'), event('moved')] } },
  {
    name: 'an import',
    method: 'POST',
    path: 'events/import',
    content: { body: line, headers: { 'content-type': 'application/x-ndjson' } },
  },
];

describe('a process that is killed after its commit and before it tells Redis', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();
  const startProxy = useTcpProxies();
  const stops = useStops();

  const shownBy = ({ url }: ApiProcess): Promise<string[]> =>
    Promise.all(
      VIEWS.map(async (view) => {
        const { status, text } = await send('GET', `${url}/api/${view}`);
        return status === 200 ? text : String(status);
      }),
    );

  /** Holds the commits of changes until the function that it returns is called. */
  async function holdCommits(url: string): Promise<() => Promise<void>> {
    await query(
      url,
      `CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_advisory_xact_lock_shared(${COMMIT_LOCK}); RETURN NULL; END $$`,
    );
    await query(
      url,
      `CREATE CONSTRAINT TRIGGER wait_at_commit AFTER INSERT OR UPDATE OR DELETE ON system_events
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_at_commit()`,
    );
    const client = new Client({ connectionString: url });
    client.on('error', () => undefined);
    await client.connect();
    stops.push(() => client.end());
    await client.query('SELECT pg_advisory_lock($1)', [COMMIT_LOCK]);
    return async () => void (await client.query('SELECT pg_advisory_unlock_all()'));
  }

  const count = async (url: string, sql: string): Promise<number> => (await query(url, sql)).length;

  it.each(CHANGES)('leaves nobody with what was before: $name', async ({ method, path, content, again }) => {
    const { url } = await createDatabase();
    await query(
      url,
      `INSERT INTO system_events (event_type, severity, message)
       VALUES ('kept', 'info', 'one'), ('kept', 'info', 'two'), ('moved', 'info', 'three')`,
    );
    const server = await startRedis();
    stops.push(() => server.stop());
    const network = await startProxy(server.url);
    const common = { DATABASE_URL: url, HEARTBEAT_SECONDS: '3600', DATABASE_STATEMENT_TIMEOUT_MS: '60000' };
    const redisUrls = [network.through(server.url), server.url, undefined];
    const [dying, other, uncached] = (await Promise.all(
      redisUrls.map((REDIS_URL) => launch({ ...common, ...(REDIS_URL && { REDIS_URL }) }).listening()),
    )) as [ApiProcess, ApiProcess, ApiProcess];
    const started = `SELECT FROM system_events WHERE event_type = 'system_startup'`;
    await until(async () => (await count(url, started)) === 3, 'all starts are stored');
    const redis = new Redis(server.url, { disconnectTimeout: 0 });
    stops.unshift(() => redis.quit());

    const before = await shownBy(other);
    await until(async () => (await redis.exists(...KEYS)) === KEYS.length, 'all of it is kept');
    const commit = await holdCommits(url);
    const request = send(method, `${dying.url}/api/${path}`, content).then(
      ({ status }) => status,
      () => 'no response',
    );
    const waiting = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = ${COMMIT_LOCK} AND NOT granted`;
    await until(async () => (await count(url, waiting)) === 1, 'the commit is under way');
    network.set({ kind: 'black hole' });
    await commit();
    const changed = async (): Promise<boolean> => JSON.stringify(await shownBy(uncached)) !== JSON.stringify(before);
    await until(changed, 'the change is committed');
    await dying.stop('SIGKILL');
    await request;

    const latest = await shownBy(uncached);
    expect(await shownBy(other)).toEqual(latest);
    if (again !== undefined) {
      expect((await send(method, `${other.url}/api/${path}`, content)).status).toBe(again);
      expect(await shownBy(other)).toEqual(await shownBy(uncached));
    }
    record({ rounds: 1, requests: 1, also: `0 of ${VIEWS.length} responses of the other process older` });
  });
});
