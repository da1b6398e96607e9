import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, open, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Account, canEnter, findAccount, findOwner, run } from './account';
import { type Binaries, findBinaries, SYSTEM_FOLDER } from './binaries';
import { codeOf, EmbeddedPostgresError, errorFromOutput, toEmbeddedPostgresError } from './error';

/** The superuser of every cluster we make, and the database eventdeck uses in it. */
export const NAME = 'eventdeck';

/** A cluster ready to be served: `<dataDir>/cluster` is PostgreSQL's own data folder. */
export interface Cluster {
  dataDir: string;
  folder: string;
  /** PostgreSQL's output, `<dataDir>/postgresql.log`. */
  logFile: string;
  password: string;
  /** As whom PostgreSQL runs and who owns `folder`; undefined for ourselves. */
  account: Account | undefined;
  binaries: Binaries;
}

const clusterOf = (dataDir: string): string => path.join(dataDir, 'cluster');
const passwordOf = (cluster: string): string => path.join(cluster, 'eventdeck-password');
const logOf = (dataDir: string): string => path.join(dataDir, 'postgresql.log');

const WORK_PREFIX = '.initializing-';
/** What we make in a data folder, and what mounted volumes and checked-in empty folders contain anyway. */
const EXPECTED = new Set(['cluster', 'postgresql.log', 'postgresql.log.old', 'lost+found', '.gitkeep', '.gitignore']);
/** The folders in which this very process is initializing clusters. */
const underWay = new Set<string>();

/** The names in a folder, none when there is no such folder. */
async function listNames(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
}

const hasCluster = async (dataDir: string): Promise<boolean> => (await listNames(clusterOf(dataDir))).length > 0;

async function nearestExisting(folder: string): Promise<string> {
  const found = await stat(folder).catch(() => undefined);
  return found || path.dirname(folder) === folder ? folder : nearestExisting(path.dirname(folder));
}

/** The wished folder, or for root another one when the account cannot get there. */
async function chooseFolder(wished: string, account: Account | undefined, log: (message: string) => void) {
  if (!account) return wished;
  const reachable = await canEnter(account, await nearestExisting(wished));
  if (await hasCluster(wished)) {
    if (reachable) return wished;
    throw new EmbeddedPostgresError(
      `The PostgreSQL cluster in ${wished} is out of reach for the account ${account.name} it has to run as: ` +
        'give that account search permission (chmod o+x) on all parent folders.',
    );
  }
  const hash = createHash('sha256').update(wished).digest('hex').slice(0, 12);
  const fallback = path.join(SYSTEM_FOLDER, hash);
  // A cluster made there once goes on: an empty one in its stead would look like lost data.
  if (reachable && !(await hasCluster(fallback))) return wished;
  log(`Account ${account.name} keeps the data in ${fallback}: ${wished} is, or was, out of its reach.`);
  return fallback;
}

/** Creates the folder; what we create is opened for the account's search, whatever our umask, what exists is not. */
async function makeFolder(folder: string, account: Account | undefined): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (!first || !account) return;
  for (let made = folder; made.length >= first.length; made = path.dirname(made)) await chmod(made, 0o755);
}

async function refuseForeign(dataDir: string): Promise<void> {
  const foreign = (await readdir(dataDir)).filter((name) => !EXPECTED.has(name) && !name.startsWith(WORK_PREFIX));
  if (foreign.length === 0) return;
  throw new EmbeddedPostgresError(
    `The folder ${dataDir} holds something else than eventdeck's database (${foreign.slice(0, 3).join(', ')}): ` +
      'choose an empty or a new folder.',
  );
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** Removes what starts that were killed in the middle left behind, but not what another process is working on. */
async function removeLeftovers(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    const pid = Number(name.slice(WORK_PREFIX.length).split('-')[0]);
    if (!name.startsWith(WORK_PREFIX) || underWay.has(name)) continue;
    if (pid !== process.pid && isRunning(pid)) continue;
    // An initdb whose parent was killed may still be writing there: what remains goes at the next start.
    await rm(path.join(dataDir, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

async function runInitdb(cluster: Cluster, work: string, durable: boolean): Promise<void> {
  const { account, binaries, password, dataDir } = cluster;
  const passwordFile = path.join(work, 'password');
  const folder = path.join(work, 'cluster');
  await writeFile(passwordFile, password, { mode: 0o600, flush: true });
  await mkdir(folder, { mode: 0o700 });
  if (account) for (const file of [passwordFile, folder]) await chown(file, account.uid, account.gid);
  const outcome = await run(account, binaries.initdb, [
    ...['-D', folder, `--username=${NAME}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'],
    ...['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C', '--data-checksums'],
    ...['--no-instructions', ...(durable ? [] : ['--no-sync'])],
  ]);
  const sentence = `PostgreSQL could not create its cluster in ${dataDir}`;
  if (outcome.error) throw toEmbeddedPostgresError(sentence, outcome.error);
  if (outcome.code !== 0) throw errorFromOutput(sentence, outcome.output);
  await rename(passwordFile, passwordOf(folder));
}

/** A power failure must not undo the rename after data was acknowledged. Windows cannot open folders. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder);
  await handle.sync().finally(() => handle.close());
}

/** Makes the cluster aside and puts it in its place when complete, so that being killed leaves no half cluster. */
async function createCluster(cluster: Cluster, durable: boolean): Promise<void> {
  const name = `${WORK_PREFIX}${process.pid}-${randomUUID()}`;
  const work = path.join(cluster.dataDir, name);
  underWay.add(name);
  try {
    await mkdir(work);
    await chmod(work, 0o711);
    await runInitdb(cluster, work, durable);
    await rename(path.join(work, 'cluster'), cluster.folder);
    await syncFolder(cluster.dataDir);
  } catch (error) {
    // A simultaneous start was faster: we go on with its cluster.
    if (!['ENOTEMPTY', 'EEXIST'].includes(codeOf(error))) throw error;
  } finally {
    await rm(work, { recursive: true, force: true }).catch(() => undefined);
    underWay.delete(name);
  }
}

async function readCluster(cluster: Cluster): Promise<Cluster> {
  const names = await listNames(cluster.folder);
  if (!names.includes('PG_VERSION') || !names.includes(path.basename(passwordOf(cluster.folder)))) {
    throw new EmbeddedPostgresError(`The folder ${cluster.folder} is not a PostgreSQL cluster made by eventdeck.`);
  }
  const version = (await readFile(path.join(cluster.folder, 'PG_VERSION'), 'utf8')).trim();
  if (version !== cluster.binaries.major) {
    throw new EmbeddedPostgresError(
      `The cluster in ${cluster.folder} is of PostgreSQL ${version}, but the one installed here is PostgreSQL ` +
        `${cluster.binaries.major}: install the fitting version, or move the data with pg_dump into a new folder.`,
    );
  }
  return { ...cluster, password: (await readFile(passwordOf(cluster.folder), 'utf8')).trim() };
}

/** The settings of an `openCluster` call. */
export interface ClusterOptions {
  /** The wished data folder. */
  dataDir: string;
  log: (message: string) => void;
  /** Whether a new cluster is forced to the disk before it is used. */
  durable: boolean;
}

/**
 * Finds the cluster of a data folder, or makes it. For root the folder may become another one, with a notice.
 * @throws EmbeddedPostgresError when the folder is foreign, unusable or holds a cluster of another major version,
 * or when the cluster cannot be created
 */
export async function openCluster({ dataDir: wished, log, durable }: ClusterOptions): Promise<Cluster> {
  const newcomer = await findAccount();
  let dataDir = path.resolve(wished);
  try {
    const owned = await hasCluster(dataDir);
    const owner = owned ? await findOwner(clusterOf(dataDir)) : newcomer;
    dataDir = await chooseFolder(dataDir, owner, log);
    await makeFolder(dataDir, newcomer);
    const exists = await hasCluster(dataDir);
    const account = exists ? await findOwner(clusterOf(dataDir)) : newcomer;
    const cluster: Cluster = {
      dataDir,
      folder: clusterOf(dataDir),
      logFile: logOf(dataDir),
      password: randomBytes(24).toString('base64url'),
      account,
      binaries: await findBinaries(account, log),
    };
    if (account) log(`PostgreSQL runs as account ${account.name}, its data is in ${dataDir}.`);
    if (!exists) await refuseForeign(dataDir);
    await removeLeftovers(dataDir);
    if (!exists) await createCluster(cluster, durable);
    return await readCluster(cluster);
  } catch (error) {
    throw toEmbeddedPostgresError(`The data folder ${dataDir} cannot be used`, error);
  }
}
