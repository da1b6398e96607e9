import { appendFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { useProcesses, type ApiProcess, type EndedEarly } from '../support/api-process';
import { query } from '../support/databases';
import { EVENT } from '../support/events';
import { send, type Answer } from '../support/http';
import { killProcesses, listProcesses, untilGone } from '../support/process-list';
import { until } from '../support/services';
import { embeddedUrl } from './support/data-folder';
import { useLoads, type Load } from './support/load';
import { record, type Measurement } from './support/measurements';
import { useOwnPostgres } from './support/own-postgres';
import { useSmallDisks, type SmallDisk } from './support/small-disk';

/** MiB: a cluster takes 40, and 16 are reserved for its log. */
const SIZE = 100;

/** Acknowledged events before and after each fault. */
const BETWEEN = 200;

const ROUNDS = 2;

/** More than a segment of the WAL: another one has to be made. */
const WAL_BYTES = 20_000_000;

const PAGE = 4096;

describe('the disk of PostgreSQL is full', () => {
  const launch = useProcesses();
  const startLoad = useLoads();
  const startPostgres = useOwnPostgres();

  // After whatever works on it.
  const mount = useSmallDisks();

  const startEmbedded = (dataDir: string): Promise<ApiProcess> =>
    launch({ DATA_DIR: dataDir, CACHE: 'off' }).listening();

  const get = (api: ApiProcess, path: string): Promise<Answer> => send('GET', api.url + path);

  async function expectStatuses(api: ApiProcess, live: number, ready: number, read: number): Promise<void> {
    const paths = ['/health/live', '/health/ready', '/api/events?limit=1'];
    const answers = await Promise.all(paths.map((path) => get(api, path)));
    expect(answers.map(({ status }) => status)).toEqual([live, ready, read]);
  }

  async function expectNothingLost(api: ApiProcess, load: Load, url: string): Promise<Measurement> {
    await load.more(BETWEEN);
    await load.stop();
    expect([load.wrong, load.statuses.get(0)]).toEqual([[], undefined]);
    await expectStatuses(api, 200, 200, 200);
    return load.expectNothingLost(url);
  }

  it('so tables cannot grow (53100): 503 for events, reads are answered, and it goes on once there is room', async () => {
    const disk = mount(SIZE);
    const postgres = await startPostgres({}, disk.folder);
    disk.reserve(postgres.logFile);
    const api = await launch({ DATABASE_URL: postgres.url, CACHE: 'off' }).listening();
    const load = startLoad(api);
    await load.more(BETWEEN);
    disk.fill();
    await until(() => (load.statuses.get(503) ?? 0) >= BETWEEN, 'events are refused');
    await expectStatuses(api, 200, 200, 200);
    const refused = load.statuses.get(503);
    disk.free();
    const recoveryMs = [await load.recovery()];
    const counts = await expectNothingLost(api, load, postgres.url);
    const log = readFileSync(postgres.logFile, 'utf8');
    expect(occurrences(log, /ERROR: {2}could not extend file .*No space left on device/g)).toBeGreaterThan(0);
    expect(occurrences(log, /PANIC|FATAL/g)).toBe(0);
    record({ rounds: 1, recoveryMs, ...counts, also: `${refused} answers 503 meanwhile` });
  });

  it('so the WAL cannot grow (PANIC): 503, and the embedded server comes back once there is room', async () => {
    const disk = mount(SIZE);
    const dataDir = join(disk.folder, 'data');
    const api = await startEmbedded(dataDir);
    const url = embeddedUrl(dataDir);
    const logFile = join(dataDir, 'postgresql.log');
    disk.reserve(logFile);
    const load = startLoad(api);
    const panics = (): number => occurrences(readFileSync(logFile, 'utf8'), /PANIC: .*No space left on device/g);
    const failedStarts = (): number => occurrences(api.output(), /not back yet.* no space left on the disk/g);
    const recoveryMs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await load.more(BETWEEN);
      const before = { panics: panics(), failedStarts: failedStarts() };
      await until(
        async () => {
          disk.fill();
          await writeWal(url);
          return panics() > before.panics && failedStarts() > before.failedStarts + 1;
        },
        'PostgreSQL has panicked, and cannot start',
        30_000,
      );
      await expectStatuses(api, 200, 503, 503);
      disk.free();
      recoveryMs.push(await load.recovery());
    }
    const counts = await expectNothingLost(api, load, url);
    record({ rounds: ROUNDS, recoveryMs, ...counts, also: `${panics()} panics, ${failedStarts()} starts in vain` });
    expect(await api.stop()).toBe(0);
  });

  describe('when the service starts', () => {
    let dataDir: string;
    let disk: SmallDisk;

    beforeEach(() => {
      disk = mount(SIZE);
      dataDir = join(disk.folder, 'data');
    });

    /** Expects that a start ends with 1 and one sentence, and leaves no process behind. */
    async function expectRefusal(): Promise<void> {
      const refused: unknown = await startEmbedded(dataDir).catch((error: unknown) => error);
      expect(refused).toMatchObject({
        code: 1,
        output: expect.stringMatching(/: no space left on the disk\.\n/) as string,
      });
      expect((refused as EndedEarly).output).not.toMatch(/\n\s+at /);
      expect(await listProcesses(disk.folder)).toEqual([]);
    }

    async function expectStart(stored: number): Promise<void> {
      const cleared = performance.now();
      const api = await startEmbedded(dataDir);
      await until(async () => (await get(api, '/health/ready')).status === 200, 'it is ready', 30_000);
      record({ rounds: 1, recoveryMs: [performance.now() - cleared], lost: 0 });
      const { body } = await send<unknown[]>('GET', `${api.url}/api/events/type/${EVENT.event_type}`);
      expect(body).toHaveLength(stored);
      expect((await send('POST', `${api.url}/api/events`, { json: EVENT })).status).toBe(201);
      expect(await api.stop()).toBe(0);
    }

    it('for the first time, and a cluster does not fit: it says so and ends, and starts once there is room', async () => {
      disk.fill(SIZE - 20);
      await expectRefusal();
      disk.free();
      await expectStart(0);
    });

    it.each([
      ['was stopped', 'SIGTERM'],
      ['was killed', 'SIGKILL'],
    ] as const)(
      'with a cluster that %s: it says so and ends, and serves what is stored once there is room',
      async (_how, signal) => {
        const api = await startEmbedded(dataDir);
        expect((await send('POST', `${api.url}/api/events`, { json: EVENT })).status).toBe(201);
        await api.stop(signal);
        await killProcesses(disk.folder);
        await untilGone(disk.folder);
        // Of what PostgreSQL says of the disk, only the beginning fits.
        const logFile = join(dataDir, 'postgresql.log');
        appendFileSync(logFile, ' '.repeat(PAGE - ((statSync(logFile).size + 60) % PAGE)));
        disk.fill();
        await expectRefusal();
        disk.free();
        await expectStart(1);
      },
    );
  });
});

/** Fails, as anything does where there is no room, or no server any more. */
async function writeWal(url: string): Promise<void> {
  const sql = `SELECT pg_logical_emit_message(true, 'disk-full', repeat('x', ${WAL_BYTES}))`;
  await query(url, sql).catch(() => undefined);
}

function occurrences(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
