import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killProcesses, untilGone } from '../../support/process-list';

/** A disk of its own, for one test to fill. */
export interface SmallDisk {
  /** Where it is mounted; every account may enter. */
  folder: string;
  /** Keeps 16 MiB for a file, so that a log tells also what happens on a full disk. */
  reserve: (file: string) => void;
  /** Takes so many MiB, or all the room that there is, and, called again, what became free meanwhile. */
  fill: (mebibytes?: number) => void;
  /** Gives that room back. */
  free: () => void;
}

const MEBIBYTE = Buffer.alloc(1024 * 1024);

/** Mounts a tmpfs of so many MiB; after each test of a file or a `describe` whoever works on it is killed, and it goes. */
export function useSmallDisks(): (mebibytes: number) => SmallDisk {
  const folders: string[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0)) await unmount(folder);
  });
  return (mebibytes) => {
    const folder = mkdtempSync(join(tmpdir(), 'eventdeck-disk-'));
    mount(folder, mebibytes);
    folders.push(folder);
    chmodSync(folder, 0o755);
    const ballast = join(folder, 'ballast');
    return {
      folder,
      reserve: (file) => void execFileSync('fallocate', ['--keep-size', '--length', '16MiB', file]),
      fill: (mebibytes) => fill(ballast, mebibytes),
      free: () => rmSync(ballast, { force: true }),
    };
  };
}

function mount(folder: string, mebibytes: number): void {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    rmdirSync(folder);
    const sentence =
      'This test mounts a small tmpfs: run it as root, or in a container that may mount (CAP_SYS_ADMIN).';
    throw new Error(sentence, { cause: error });
  }
}

async function unmount(folder: string): Promise<void> {
  try {
    await killProcesses(folder);
    await untilGone(folder);
    execFileSync('umount', [folder], { stdio: 'pipe' });
  } catch {
    // It goes with the last file that is open there.
    execFileSync('umount', ['-l', folder], { stdio: 'pipe' });
  }
  rmdirSync(folder);
}

function fill(ballast: string, mebibytes = Infinity): void {
  const file = openSync(ballast, 'a');
  try {
    for (let written = 0; written < mebibytes; written++) writeSync(file, MEBIBYTE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}
