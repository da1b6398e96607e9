import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedPostgres } from '../../../libs/platform/src';
import { migrate, query } from '../../support/databases';
import { listProcesses } from '../../support/process-list';
import { until } from '../../support/services';

/** A PostgreSQL with an empty, migrated database, for one test to break. */
export interface OwnPostgres {
  url: string;
  /** Kills every process of the server at once; it comes back by itself, on the same port. */
  kill: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Starts a server as safe as PostgreSQL is by default, with `settings` on top. */
export async function startOwnPostgres(settings: Record<string, string> = {}): Promise<OwnPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'eventdeck-faults-'));
  // As root the server runs as another account, which has to reach its data.
  chmodSync(folder, 0o755);
  const postgres = await EmbeddedPostgres.start({ dataDir: join(folder, 'data'), log: () => undefined, settings });
  await migrate(postgres.url);
  // Whatever a test makes of what comes later, the tables stay.
  await query(postgres.url, 'CHECKPOINT');
  return {
    url: postgres.url,
    kill: async () => {
      for (const pid of await listProcesses(folder)) process.kill(pid, 'SIGKILL');
    },
    stop: async () => {
      await postgres.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
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
