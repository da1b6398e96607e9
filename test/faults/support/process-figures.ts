import type { ChildProcess } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';

/** Resident memory of a process in MiB (`VmRSS` of proc(5)). */
export const residentMemory = (child: ChildProcess): Promise<number> => memory(child, 'VmRSS');

/** The most that it ever was (`VmHWM`). */
export const peakMemory = (child: ChildProcess): Promise<number> => memory(child, 'VmHWM');

async function memory({ pid }: ChildProcess, line: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024);
}

/** How many sockets a process has open, of whatever kind. */
export async function openSockets({ pid }: ChildProcess): Promise<number> {
  const folder = `/proc/${pid}/fd`;
  const names = await readdir(folder);
  const targets = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => '')));
  return targets.filter((target) => target.startsWith('socket:')).length;
}
