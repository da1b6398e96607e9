import { useProcesses, type ApiProcess } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { EVENT } from '../support/events';
import { HttpClient, type ApiAnswer } from './support/http-client';
import { record } from './support/measurements';
import { useStops } from '../support/stops';

const READERS = 100;

/** Reads that each of them makes. */
const READS = 2;

const EVENTS = 100_000;

/** So many that none of the reads below gets by without looking at many of them. */
const STORE = `INSERT INTO system_events (event_type, severity, message, source, "timestamp")
  SELECT 'type-' || n % 7, 'info', 'slow reads number ' || n, 'source-' || n % 50, now() - n * interval '10 s'
  FROM generate_series(1, $1::int) AS n`;

/** Filters by words cannot be answered from what is counted. */
const SLOW_READS = [
  '/api/events/facets?q=slow+reads',
  '/api/events/timeseries?q=slow+reads&since=30d&bucket=1h&group_by=event_type',
  '/api/events?q=slow+reads&count=exact&limit=1',
  `/api/events?offset=${EVENTS - 10}&limit=1&since=365d`,
];

describe('slow reads', () => {
  const launch = useProcesses();
  const createDatabase = useDatabases();
  const stops = useStops();

  async function start(url: string): Promise<ApiProcess> {
    await query(url, STORE, [EVENTS]);
    await query(url, 'ANALYZE system_events');
    return launch({ DATABASE_URL: url, CACHE: 'off', DATABASE_POOL_MAX: '4' }).listening();
  }

  function connect(api: ApiProcess, connections: number): HttpClient {
    const client = new HttpClient(api.url, connections);
    stops.push(() => client.close());
    return client;
  }

  it('of 100 clients at once keep no event, no readiness and no short read from anybody', async () => {
    const { url } = await createDatabase();
    const api = await start(url);
    const readers = connect(api, READERS);
    const others = connect(api, 3);
    let areReading = true;
    const read = async (reader: number): Promise<ApiAnswer[]> => {
      const answers: ApiAnswer[] = [];
      for (let round = 0; round < READS; round++) {
        const path = SLOW_READS[(reader + round) % SLOW_READS.length]!;
        // Each its own, so that none gets what another one asked for.
        const target = `${path}&until=${new Date(Date.now() - reader * 1000 - round).toISOString()}`;
        answers.push(await readers.send({ method: 'GET', target, headers: [], body: undefined }));
      }
      return answers;
    };
    const reading = Promise.all(Array.from({ length: READERS }, (_, reader) => read(reader)));
    const finished = reading.finally(() => (areReading = false));
    // Whoever waits for them gets the error.
    finished.catch(() => undefined);
    const meanwhile = async (method: string, target: string, json?: object): Promise<Map<number, number>> => {
      const statuses = new Map<number, number>();
      const headers: [string, string][] = json ? [['Content-Type', 'application/json']] : [];
      const body = json && Buffer.from(JSON.stringify(json));
      do {
        const { status } = await others.send({ method, target, headers, body });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      } while (areReading);
      return statuses;
    };
    const [posts, ready, gets] = await Promise.all([
      meanwhile('POST', '/api/events', EVENT),
      meanwhile('GET', '/health/ready'),
      meanwhile('GET', '/api/events/1'),
    ]);
    const answers = (await finished).flat();

    expect([...posts.keys(), ...ready.keys(), ...gets.keys()]).toEqual([201, 200, 200]);
    const served = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status, headers }) => status === 503 && Number(headers['retry-after']) >= 1);
    expect(served.length + refused.length).toBe(READERS * READS);
    expect(served.length).toBeGreaterThan(0);
    const sql = 'SELECT count(*)::int AS count FROM system_events WHERE message = $1';
    expect(await query(url, sql, [EVENT.message])).toEqual([{ count: posts.get(201) }]);
    record({
      requests: READERS * READS + (posts.get(201) ?? 0) + (ready.get(200) ?? 0) + (gets.get(200) ?? 0),
      acknowledged: posts.get(201),
      lost: 0,
      also: `${served.length} slow reads served, ${refused.length} refused for the moment`,
    });
  });
});
