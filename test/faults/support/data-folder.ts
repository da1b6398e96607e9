import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killProcesses, listProcesses, untilGone } from '../../support/process-list';

/** A folder for the embedded PostgreSQL of one test. */
export interface DataFolder {
  dataDir: string;
  /** The address of its server as `postmaster.pid` says it. */
  url: () => string;
  /** Every process of its server. */
  pids: () => Promise<number[]>;
  /** Kills all of them at once. */
  kill: () => Promise<void>;
}

/** Data folders that go after each test; to be called after `useProcesses`, whose processes end first. */
export function useDataFolders(): () => DataFolder {
  const created: string[] = [];
  afterEach(async () => {
    for (const folder of created.splice(0)) {
      await killProcesses(folder);
      await untilGone(folder);
      rmSync(folder, { recursive: true, force: true });
    }
  });
  return () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventdeck-faults-'));
    created.push(folder);
    // As root PostgreSQL runs as another account, which has to reach its data.
    chmodSync(folder, 0o755);
    return {
      dataDir: join(folder, 'data'),
      url: () => embeddedUrl(join(folder, 'data')),
      pids: () => listProcesses(folder),
      kill: () => killProcesses(folder),
    };
  };
}

/** The address of the server of a cluster, as its files say it. */
export function embeddedUrl(dataDir: string): string {
  const cluster = join(dataDir, 'cluster');
  const password = readFileSync(join(cluster, 'eventdeck-password'), 'utf8').trim();
  const port = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n')[3] ?? '';
  return `postgres://eventdeck:${password}@127.0.0.1:${port}/eventdeck`;
}
