import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { EmbeddedPostgresError, reasonOf } from './error';

/** The system account PostgreSQL runs as. */
export interface Account {
  /** Its name, or `uid <number>` when the passwd file has none. */
  name: string;
  uid: number;
  gid: number;
}

/** How a program ended. `output` is its stdout and stderr together. */
export interface Outcome {
  /** Exit code, null when a signal ended it or it could not be started. */
  code: number | null;
  output: string;
  /** Why it could not be started. */
  error?: unknown;
}

/**
 * All that PostgreSQL gets to see of an environment: our own holds secrets, which the account could read in /proc,
 * and variables such as PGOPTIONS would change what it does. LC_ALL makes its messages English, we look into some.
 */
export const cleanEnvironment = { LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin' };

const isRoot = (): boolean => process.getuid?.() === 0;

async function listAccounts(): Promise<Account[]> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return passwd.split('\n').map((line) => {
    const [name = '', , uid, gid] = line.split(':');
    return { name, uid: Number(uid), gid: Number(gid) };
  });
}

/**
 * The account a new cluster belongs to: undefined (ourselves) for an ordinary user; for root, as whom PostgreSQL
 * refuses to run, `postgres` or else `nobody`.
 * @throws EmbeddedPostgresError for root on a system with neither
 */
export async function findAccount(): Promise<Account | undefined> {
  if (!isRoot()) return undefined;
  const accounts = await listAccounts();
  const account = ['postgres', 'nobody'].map((name) => accounts.find((one) => one.name === name)).find(Boolean);
  if (account) return account;
  throw new EmbeddedPostgresError(
    'PostgreSQL does not run as root and there is neither an account "postgres" nor "nobody": ' +
      'start as an ordinary user or set DATABASE_URL.',
  );
}

/**
 * The account an existing cluster belongs to, undefined when that is us. It wins over `findAccount()`: an account
 * `postgres` may have appeared after `nobody` made the cluster, or an ordinary user made it before root came.
 */
export async function findOwner(folder: string): Promise<Account | undefined> {
  if (!isRoot()) return undefined;
  const { uid, gid } = await stat(folder);
  const name = (await listAccounts()).find((one) => one.uid === uid)?.name;
  return { name: name ?? `uid ${uid}`, uid, gid };
}

/** The part of spawn's options that makes the child run as the account. */
export function identity(account: Account | undefined): { uid?: number; gid?: number } {
  return account ? { uid: account.uid, gid: account.gid } : {};
}

/** Runs a program as the account until it ends; never rejects. */
export async function run(account: Account | undefined, command: string, args: string[]): Promise<Outcome> {
  let output = '';
  const collect = (chunk: Buffer): void => void (output += chunk.toString());
  try {
    // Some failures are thrown (EPERM: root without the right to change its account), others are an event.
    const child = spawn(command, args, {
      ...identity(account),
      cwd: '/',
      env: cleanEnvironment,
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
    });
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  } catch (error) {
    return { code: null, output, error };
  }
}

/** Whether the account may enter the folder, which needs search permission on every parent too. Asks the kernel. */
export async function canEnter(account: Account | undefined, folder: string): Promise<boolean> {
  if (!account) return true;
  const outcome = await run(account, '/bin/sh', ['-c', 'cd -- "$0"', folder]);
  if (outcome.error) {
    throw new EmbeddedPostgresError(`A program cannot be run as account ${account.name}: ${reasonOf(outcome.error)}.`);
  }
  return outcome.code === 0;
}
