import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedPostgres } from '../../../libs/platform/src';
import { migrate, query } from '../../support/databases';
import { killProcesses, listProcesses } from '../../support/process-list';
import { until } from '../../support/services';
import { useStops } from '../../support/stops';

/** A PostgreSQL with an empty, migrated database, for one test to break. */
export interface OwnPostgres {
  url: string;
  /** Kills every process of the server at once; it comes back by itself, on the same port. */
  kill: () => Promise<void>;
  /** All its processes. */
  pids: () => Promise<number[]>;
  /** What it writes to its log. */
  logFile: string;
  stop: () => Promise<void>;
}

/** Starts a server as safe as PostgreSQL is by default, with `settings` on top and its data below `parent`. */
async function startOwnPostgres(settings: Record<string, string> = {}, parent = tmpdir()): Promise<OwnPostgres> {
  const folder = mkdtempSync(join(parent, 'eventdeck-faults-'));
  // As root the server runs as another account, which has to reach its data.
  chmodSync(folder, 0o755);
  const postgres = await start(folder, settings).catch(async (error: unknown) => {
    await killProcesses(folder);
    rmSync(folder, { recursive: true, force: true });
    throw error;
  });
  return {
    url: postgres.url,
    kill: () => killProcesses(folder),
    pids: () => listProcesses(folder),
    logFile: join(postgres.dataDir, 'postgresql.log'),
    stop: async () => {
      await postgres.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function start(folder: string, settings: Record<string, string>): Promise<EmbeddedPostgres> {
  const postgres = await EmbeddedPostgres.start({ dataDir: join(folder, 'data'), log: () => undefined, settings });
  await migrate(postgres.url);
  // Whatever a test makes of what comes later, the tables stay.
  await query(postgres.url, 'CHECKPOINT');
  return postgres;
}

/** Resolves once a server takes statements. */
export async function untilServing(url: string): Promise<void> {
  const serves = (): Promise<boolean> =>
    query(url, 'SELECT 1').then(
      () => true,
      () => false,
    );
  await until(serves, 'PostgreSQL serves', 60_000);
}

/** `startOwnPostgres` for the tests of a file or a `describe`: what they start is stopped after each. */
export function useOwnPostgres(): typeof startOwnPostgres {
  const stops = useStops();
  return async (...options) => {
    const postgres = await startOwnPostgres(...options);
    stops.push(postgres.stop);
    return postgres;
  };
}
