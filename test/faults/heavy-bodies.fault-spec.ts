import { useProcesses, type ApiProcess } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { send, type Answer } from '../support/http';
import { record } from './support/measurements';
import { peakMemory } from './support/process-figures';

const KIBIBYTE = 1024;

/** MiB of the heap of a process: a quarter of what one batch of objects would take if it were parsed at once. */
const SMALL_HEAP = 128;

/** Milliseconds until a request that was refused for what others take is sent again. */
const RETRY_MS = 500;

const FIELDS = { event_type: 'heavy', severity: 'info' };

/** An event whose details have so many bytes, or a few less: the values that take the most, for their bytes. */
function eventOfObjects(bytes: number): string {
  return eventWith(
    `{"a":[${Array(Math.floor((bytes - 8) / 3))
      .fill('{}')
      .join(',')}]}`,
  );
}

/** Numbers, of which PostgreSQL keeps each in an index. */
function eventOfNumbers(bytes: number, seed: number): string {
  const numbers = Array.from({ length: Math.floor((bytes - 8) / 11) }, (_, place) =>
    (seed + place * 1e-5).toFixed(5).slice(0, 10),
  );
  return eventWith(`{"a":[${numbers.join(',')}]}`);
}

function eventOfWords(characters: number, seed: number): string {
  const words = Array.from({ length: Math.ceil(characters / 8) }, (_, place) =>
    (seed * 1e5 + place).toString(36).padStart(7, 'w'),
  );
  return eventWith('{}', words.join(' ').slice(0, characters));
}

const eventWith = (details: string, message = 'm'): string =>
  `${JSON.stringify({ ...FIELDS, message }).slice(0, -1)},"details":${details}}`;

const batchOf = (count: number, event: (place: number) => string): string =>
  `[${Array.from({ length: count }, (_, place) => event(place)).join(',')}]`;

describe('bodies that cost more than their bytes', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();

  async function start(variables: Record<string, string> = {}): Promise<{ api: ApiProcess; url: string }> {
    const { url } = await createDatabase();
    const api = await launch({ DATABASE_URL: url, CACHE: 'off', ...variables }).listening();
    return { api, url };
  }

  const post = (api: ApiProcess, path: string, body: string): Promise<Answer> =>
    send('POST', `${api.url}${path}`, { body, headers: { 'content-type': 'application/json' } });

  /** Sends it again for as long as it is told to come again; resolves with the other status. */
  async function postUntilStored(api: ApiProcess, path: string, body: string): Promise<number> {
    for (;;) {
      const { status, headers } = await post(api, path, body);
      if (status !== 503) return status;
      expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  const storedIn = async (url: string): Promise<number> => {
    const [row] = await query<{ n: number }>(
      url,
      `SELECT count(*)::int AS n FROM system_events WHERE event_type = 'heavy'`,
    );
    return row?.n ?? 0;
  };

  it(`are stored by a process with a heap of ${SMALL_HEAP} MiB`, async () => {
    const { api, url } = await start({ NODE_OPTIONS: `--max-old-space-size=${SMALL_HEAP}` });
    const event = eventOfObjects(256 * KIBIBYTE);
    const batches = [batchOf(63, () => event), batchOf(63, () => event)];
    const answers = [
      ...batches.map((batch) => postUntilStored(api, '/api/events/batch', batch)),
      ...Array.from({ length: 40 }, () => postUntilStored(api, '/api/events', event)),
    ];
    const statuses = await Promise.all(answers);
    expect(statuses).toEqual([200, 200, ...Array<number>(40).fill(201)]);
    expect(await storedIn(url)).toBe(2 * 63 + 40);
    expect((await send('GET', `${api.url}/health/live`)).status).toBe(200);
    record({ acknowledged: 2 * 63 + 40, lost: 0, also: `${await peakMemory(api.child)} MiB at most` });
  });

  it('are stored within the time limit of a statement, whatever the batch holds', async () => {
    const { api, url } = await start();
    const batches: [count: number, body: string][] = [
      [200, batchOf(200, (place) => eventOfNumbers(80 * KIBIBYTE, place))],
      [1000, batchOf(1000, (place) => eventOfNumbers(16 * KIBIBYTE, place))],
      [63, batchOf(63, (place) => eventOfNumbers(255 * KIBIBYTE, place))],
      [240, batchOf(240, (place) => eventOfWords(65_536, place))],
    ];
    let stored = 0;
    for (const [count, body] of batches) {
      const { status, body: result } = await post(api, '/api/events/batch', body);
      expect([status, result]).toMatchObject([200, { accepted: count, rejected: 0 }]);
      expect(await storedIn(url)).toBe((stored += count));
    }
    record({ acknowledged: stored, lost: 0, also: `${await peakMemory(api.child)} MiB at most` });
  });
});
