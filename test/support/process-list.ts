import { readdir, readFile, readlink } from 'node:fs/promises';

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
