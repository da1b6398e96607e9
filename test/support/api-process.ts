import { spawn, type ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './services';

const MAIN = join(__dirname, '../../dist/apps/api/src/main.js');

/** Characters of output that are kept at least; twice as many at most. */
const KEPT_OUTPUT = 16 * 1024 * 1024;

/** The built application as a process of its own. */
export interface ApiProcess {
  /** The address of its start line. */
  url: string;
  child: ChildProcess;
  /** What it wrote to standard output and standard error so far; of a long run the last 16 MiB. */
  output(): string;
  /** Sends `signal` and resolves with the exit code; `null` when a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** The lines that a process wrote so far and that contain `text`. */
export function linesWith(api: Pick<ApiProcess, 'output'>, text: string): string[] {
  return api
    .output()
    .split('\n')
    .filter((line) => line.includes(text));
}

/** A process that may not listen yet. */
export interface StartingProcess extends Omit<ApiProcess, 'url'> {
  /** @throws EndedEarly when it ends instead */
  listening(): Promise<ApiProcess>;
}

/** What a process said that ended before it listened. */
export class EndedEarly extends Error {
  constructor(
    readonly code: number | null,
    readonly output: string,
  ) {
    super(`the process ended with ${code}: ${output}`);
  }
}

/** Starts `dist` with nothing in its environment but `variables` and a free port, in a folder without a `.env`. */
function launchProcess(variables: Record<string, string>, cwd = tmpdir()): StartingProcess {
  const env = { PATH: process.env.PATH, PORT: '0', ...variables };
  const child = spawn(process.execPath, [MAIN], { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let code: number | null | undefined;
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
    if (output.length > 2 * KEPT_OUTPUT) output = output.slice(-KEPT_OUTPUT);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const closed = new Promise<number | null>((resolve) => child.once('close', (status) => resolve((code = status))));
  const starting = {
    child,
    output: () => output,
    stop: (signal: NodeJS.Signals = 'SIGTERM') => {
      child.kill(signal);
      return closed;
    },
  };
  const address = (): string | undefined => /listens on (http:\/\/[^\s"]+)/.exec(output)?.[1];
  return {
    ...starting,
    listening: async () => {
      await until(() => address() !== undefined || code !== undefined, 'the application listens', 30_000);
      const url = address();
      if (url === undefined) throw new EndedEarly((await closed) ?? null, output);
      return { ...starting, url };
    },
  };
}

/** `launchProcess` for the tests of a file or a `describe`: what they leave running is killed after each. */
export function useProcesses(): typeof launchProcess {
  const launched: StartingProcess[] = [];
  afterEach(async () => {
    await Promise.all(launched.splice(0).map(({ stop }) => stop('SIGKILL')));
  });
  return (variables, cwd) => {
    const starting = launchProcess(variables, cwd);
    launched.push(starting);
    return starting;
  };
}
