import { readdir, readFile, readlink } from 'node:fs/promises';
import { until } from './services';

/** Every process working in the folder or started with its name, PostgreSQL's background processes too. */
export async function listProcesses(where: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  const belongs = async (pid: number): Promise<boolean> => {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return cwd.startsWith(where) || command.includes(where);
  };
  const found = await Promise.all(pids.map(belongs));
  return pids.filter((_, index) => found[index]);
}

/** Kills all of them at once. */
export async function killProcesses(where: string): Promise<void> {
  for (const pid of await listProcesses(where)) signal(pid, 'SIGKILL');
}

/** Resolves once none of them is left. */
export function untilGone(where: string): Promise<void> {
  return until(async () => (await listProcesses(where)).length === 0, `nobody works in ${where}`, 30_000);
}

/** Stops processes in their tracks (SIGSTOP); what it returns lets them go on. */
export function freeze(pids: readonly number[]): () => void {
  for (const pid of pids) signal(pid, 'SIGSTOP');
  return () => {
    for (const pid of pids) signal(pid, 'SIGCONT');
  };
}

// Some of them end meanwhile, the one with the other.
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
