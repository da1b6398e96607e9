import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { until } from './services';

const MAIN = join(__dirname, '../../dist/apps/api/src/main.js');

/** The built application as a process of its own. */
export interface ApiProcess {
  /** The address of its start line. */
  url: string;
  child: ChildProcess;
  /** Everything it wrote to standard output and standard error so far. */
  output(): string;
  /** Sends `signal` and resolves with the exit code; `null` when a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
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

/**
 * Starts `dist` with nothing in its environment but `variables` and a free port; resolves once it listens.
 *
 * @throws EndedEarly when it ends instead
 */
export async function startProcess(variables: Record<string, string>, cwd?: string): Promise<ApiProcess> {
  const env = { PATH: process.env.PATH, PORT: '0', ...variables };
  const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'], ...(cwd && { cwd }) });
  let output = '';
  let code: number | null | undefined;
  const collect = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const closed = new Promise<number | null>((resolve) => child.once('close', (status) => resolve((code = status))));
  const address = (): string | undefined => /listens on (http:\/\/\S+)/.exec(output)?.[1];
  try {
    await until(() => address() !== undefined || code !== undefined, 'the application listens', 30_000);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  const url = address();
  if (url === undefined) throw new EndedEarly((await closed) ?? null, output);
  return {
    url,
    child,
    output: () => output,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return closed;
    },
  };
}
