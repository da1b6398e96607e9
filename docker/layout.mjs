// Proves the steps of docker/Dockerfile without a container engine: see --help.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { URL } from 'node:url';
import dockerfileAst from 'dockerfile-ast';
import { parse as parseYaml } from 'yaml';

const HELP = `Usage: DATABASE_URL=postgres://… node docker/layout.mjs

Runs the steps of docker/Dockerfile in a folder of its own, without a container engine: copies the context as
.dockerignore says, runs every RUN, lays out every COPY, compares the result with what production needs, then runs the
migrations of docker/compose.yml and CMD as an unprivileged user (as root: uid ${65_534}; else as yourself), asks the
HEALTHCHECK, a few pages and the API, and stops it with SIGTERM. What it cannot show: the base image and its Node.

DATABASE_URL   an empty PostgreSQL database; it is migrated and gets one event
REDIS_URL      optional, as for the API

Needs npm ci to have run. Exit code: 0 when everything held, 1 when something did not, 2 when it cannot run.`;

const ROOT = resolve(import.meta.dirname, '..');
const NOBODY = 65_534;
/** The stop_grace_period of docker/compose.yml: later the engine would kill. */
const GRACE_MS = 30_000;
const asRoot = process.getuid?.() === 0;
const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages;

/** What a check found; the message is for the reader, the stack is not. */
class Failure extends Error {}

function expect(holds, sentence) {
  if (!holds) throw new Failure(`does not hold: ${sentence}`);
  console.log(`  ok: ${sentence}`);
}

// ---- the context -------------------------------------------------------------------------------------------------

/** The rules of a .dockerignore, as predicates on a path from the root; the last rule that matches decides. */
function readIgnoreRules(text) {
  const lines = text.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const keeps = line.startsWith('!');
      const pattern = line.replace(/^!/, '').replace(/^\/|\/$/g, '');
      const source = pattern
        .replace(/[.+^$()|{}\\]/g, '\\$&')
        .replace(/\*\*\/|\*\*|\*|\?/g, (glob) => ({ '**/': '(?:.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]' })[glob]);
      // A rule for a folder is one for everything in it.
      const matcher = new RegExp(`^${source}(?:/.*)?$`);
      return { keeps, matches: (path) => matcher.test(path) };
    });
}

function copyContext(target) {
  const rules = readIgnoreRules(readFileSync(join(ROOT, '.dockerignore'), 'utf8'));
  const isIgnored = (path) => !(rules.findLast(({ matches }) => matches(path))?.keeps ?? true);
  if (rules.some(({ keeps }) => keeps)) throw new Failure('.dockerignore has a rule with !, which is not known here');
  cpSync(ROOT, target, { recursive: true, verbatimSymlinks: true, filter: (path) => !isIgnored(relative(ROOT, path)) });
}

// ---- the Dockerfile ----------------------------------------------------------------------------------------------

function run(command, args, options) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.once('error', fail);
    child.once('close', (code, signal) => done({ code: code ?? signal, output }));
  });
}

/** The array of an exec-form CMD or HEALTHCHECK; a shell form is not what the image should have. */
function execForm(text, keyword) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure(`${keyword} is not in exec form: ${text}`);
  }
}

/** Runs `instruction` on `stage`; what is not known here stops the run rather than being left out. */
async function execute(instruction, stage, stages, context) {
  const keyword = instruction.getKeyword();
  const text = instruction.getArgumentsContent() ?? '';
  const args = instruction.getArguments().map((argument) => argument.getValue());
  const flags = new Map((instruction.getFlags?.() ?? []).map((flag) => [flag.getName(), flag.getValue()]));
  switch (keyword) {
    case 'WORKDIR':
      stage.workdir = resolve(stage.workdir, text);
      mkdirSync(join(stage.root, stage.workdir), { recursive: true });
      return;
    case 'ENV':
      for (const property of instruction.getProperties()) stage.env[property.getName()] = property.getValue() ?? '';
      return;
    case 'RUN': {
      // Cache mounts are of no effect on the result; npm's own cache stands in.
      onlyKnown(flags, ['mount'], keyword);
      console.log(`  ${stage.name}: RUN ${text}`);
      const env = { ...process.env, ...stage.env };
      const { code, output } = await run('sh', ['-c', text], { cwd: join(stage.root, stage.workdir), env });
      if (code !== 0) throw new Failure(`RUN ${text} ended with ${code}:\n${output}`);
      return;
    }
    case 'COPY':
      onlyKnown(flags, ['from', 'chmod'], keyword);
      copy(args, flags, stage, stages, context);
      return;
    case 'USER':
      stage.user = text;
      return;
    case 'HEALTHCHECK':
      stage.healthcheck = execForm(text.replace(/^CMD\s+/, ''), keyword);
      return;
    case 'CMD':
      stage.cmd = execForm(text, keyword);
      return;
    case 'ARG':
    case 'LABEL':
    case 'EXPOSE':
      return;
    default:
      throw new Failure(`docker/layout.mjs does not know ${keyword}`);
  }
}

function onlyKnown(flags, known, keyword) {
  const unknown = [...flags.keys()].filter((flag) => !known.includes(flag));
  if (unknown.length > 0) throw new Failure(`docker/layout.mjs does not know ${keyword} --${unknown.join(', --')}`);
}

function copy(args, flags, stage, stages, context) {
  const from = flags.get('from');
  if (from && !stages.has(from)) throw new Failure(`COPY --from=${from}: only stages are known here`);
  const origin = from ? stages.get(from).root : context;
  const sources = args.slice(0, -1);
  const target = args.at(-1) ?? '';
  const place = join(stage.root, resolve(stage.workdir, target));
  for (const source of sources) {
    const path = join(origin, source);
    if (!existsSync(path)) throw new Failure(`COPY: ${source} is not in ${from ?? 'the context'}`);
    const isFolder = lstatSync(path).isDirectory();
    const end = !isFolder && (target.endsWith('/') || sources.length > 1) ? join(place, basename(path)) : place;
    cpSync(path, end, { recursive: true, verbatimSymlinks: true });
    const mode = flags.get('chmod');
    if (mode && isFolder) throw new Failure('COPY --chmod of a folder is not known here');
    if (mode) chmodSync(end, parseInt(mode, 8));
  }
  if (asRoot) for (const path of walk(place)) lchownSync(path, 0, 0);
}

function* walk(path) {
  yield path;
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) yield* walk(join(path, name));
}

/** Lays out every stage and returns the last one. */
async function build(folder) {
  const dockerfile = dockerfileAst.DockerfileParser.parse(readFileSync(join(ROOT, 'docker/Dockerfile'), 'utf8'));
  const context = join(folder, 'context');
  copyContext(context);
  const stages = new Map();
  let stage;
  for (const instruction of dockerfile.getInstructions()) {
    if (instruction.getKeyword() === 'FROM') {
      const parent = stages.get(instruction.getImage());
      const name = instruction.getBuildStage() ?? `stage-${stages.size}`;
      stage = { workdir: '/', user: undefined, ...parent, name, root: join(folder, name), env: { ...parent?.env } };
      mkdirSync(stage.root);
      if (parent) cpSync(parent.root, stage.root, { recursive: true, verbatimSymlinks: true });
      stages.set(name, stage);
    } else if (stage) {
      await execute(instruction, stage, stages, context);
    }
  }
  if (!stage) throw new Failure('docker/Dockerfile has no stage');
  return stage;
}

// ---- the checks --------------------------------------------------------------------------------------------------

function checkFiles(stage) {
  const paths = [...walk(stage.root)].filter((path) => path !== stage.root);
  const files = paths.filter((path) => !lstatSync(path).isDirectory());
  const app = join(stage.root, stage.workdir);
  const names = files.map((path) => relative(app, path));
  const own = names.filter((name) => !name.startsWith('node_modules/'));
  const size = (list) =>
    `${(list.reduce((sum, name) => sum + lstatSync(join(app, name)).size, 0) / 1e6).toFixed(1)} MB`;
  const count = (list) => `${list.length} files, ${size(list)}`;
  console.log(`  everything: ${count(names)}; of it eventdeck itself: ${count(own)}`);

  const strangers = own.filter((name) => !/^(package\.json|LICENSE|dist\/.+)$/.test(name));
  expect(
    strangers.length === 0,
    `nothing but package.json, LICENSE, dist and node_modules ${strangers.join(' ')}`.trim(),
  );
  const sources = own.filter((name) => /\.ts$|\.(e2e-)?spec\.|^dist\/test\//.test(name));
  expect(sources.length === 0, `no source and no test of eventdeck's ${sources.join(' ')}`.trim());
  const secrets = paths.filter((path) => /^\.env(\..*)?$|^\.git$|^\.npmrc$|\.pem$|\.key$/.test(basename(path)));
  expect(secrets.length === 0, `no .env, .git, .npmrc, key or certificate ${secrets.join(' ')}`.trim());

  const needed = Object.keys(lock).filter((path) => isNeeded(lock[path]) && path !== '');
  const installed = paths
    .map((path) => relative(app, path))
    .filter(
      (path) => /(^|\/)node_modules\/(@[^/]+\/)?[^@./][^/]*$/.test(path) && existsSync(join(app, path, 'package.json')),
    );
  const missing = needed.filter((path) => !installed.includes(path));
  const extra = installed.filter((path) => lock[path] && !isNeeded(lock[path]));
  expect(missing.length === 0, `all ${needed.length} production packages of the lock file ${missing.join(' ')}`.trim());
  expect(extra.length === 0, `no development and no optional package ${extra.join(' ')}`.trim());
  const native = names.filter((name) => name.endsWith('.node'));
  console.log(`  native modules: ${native.length === 0 ? 'none' : native.join(' ')}`);

  const others = paths.filter((path) => (lstatSync(path).mode & 0o002) !== 0 && !lstatSync(path).isSymbolicLink());
  expect(others.length === 0, `nothing that everybody may write ${others.slice(0, 5).join(' ')}`.trim());
  if (asRoot)
    expect(
      paths.every((path) => lstatSync(path).uid === 0),
      'everything is owned by root',
    );
  const user = stage.user?.split(':')[0];
  expect(user !== undefined && user !== 'root' && user !== '0', `USER is ${user}, not root`);
}

function isNeeded({ dev, optional, devOptional }) {
  return !dev && !optional && !devOptional;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/** Waits until `holds` answers true. */
async function until(holds, what, milliseconds) {
  for (const end = Date.now() + milliseconds; Date.now() < end; await sleep(200)) if (await holds()) return;
  throw new Failure(`not within ${milliseconds / 1000} s: ${what}`);
}

async function checkProcess(stage, running) {
  const port = await freePort();
  const token = randomBytes(16).toString('hex');
  const cwd = join(stage.root, stage.workdir);
  const user = asRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const stores = Object.fromEntries(
    ['DATABASE_URL', 'REDIS_URL'].filter((name) => process.env[name]).map((name) => [name, process.env[name]]),
  );
  // Nothing of this shell but where programs are: a container has no more either.
  const env = { PATH: process.env.PATH, ...stage.env, ...stores, PORT: String(port) };
  const [program, ...args] = stage.cmd;

  const refused = await run(program, args, { cwd, env, ...user });
  expect(
    refused.code === 1 && refused.output.includes('API_TOKEN'),
    'without API_TOKEN it does not start, and says so',
  );

  const { migrate } = parseYaml(readFileSync(join(ROOT, 'docker/compose.yml'), 'utf8'), { merge: true }).services;
  // What compose takes from its own environment is given here already.
  const fixed = Object.entries(migrate.environment).filter(([, value]) => !String(value).includes('$'));
  const migration = { cwd, env: { ...env, ...Object.fromEntries(fixed) }, ...user };
  const migrated = await run(migrate.command[0], migrate.command.slice(1), migration);
  expect(migrated.code === 0, `the migrations of compose.yml run${migrated.code === 0 ? '' : `:\n${migrated.output}`}`);

  const started = Date.now();
  const child = spawn(program, args, {
    cwd,
    env: { ...env, API_TOKEN: token },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...user,
  });
  running.add(child);
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const ended = new Promise((done) => child.once('close', (code, signal) => done(code ?? signal)));
  try {
    const probe = async () => (await run(stage.healthcheck[0], stage.healthcheck.slice(1), { cwd, env, ...user })).code;
    await until(async () => child.exitCode !== null || (await probe()) === 0, 'HEALTHCHECK succeeds', 30_000);
    expect(child.exitCode === null, `HEALTHCHECK succeeds, ${Date.now() - started} ms after the start`);
    await checkAnswers(`http://127.0.0.1:${port}`, token);
    child.kill('SIGTERM');
    const code = await Promise.race([
      ended,
      sleep(GRACE_MS, `still running after ${GRACE_MS / 1000} s`, { ref: false }),
    ]);
    expect(code === 0, `SIGTERM ends it with 0 (${code})`);
    expect((await probe()) !== 0, 'HEALTHCHECK fails once it is gone');
  } catch (error) {
    console.error(`--- what the process wrote\n${output}---`);
    throw error;
  } finally {
    child.kill('SIGKILL');
    running.delete(child);
  }
}

async function checkAnswers(base, token) {
  const { fetch } = globalThis;
  // Read to its end: an answer that nobody reads is a request in flight, and the shutdown would wait for it.
  const get = async (url, init) => {
    const response = await fetch(url, init);
    return { status: response.status, url: response.url, text: await response.text() };
  };
  const status = async (path, init) => (await get(base + path, init)).status;
  for (const path of ['/', '/health/ready', '/openapi.json'])
    expect((await status(path)) === 200, `GET ${path} is 200`);
  for (const path of ['/docs', '/api/docs', '/redoc']) {
    const page = await get(base + path);
    const scripts = [...page.text.matchAll(/<script[^>]*\ssrc="([^"]+)"/g)].map(
      ([, source]) => new URL(source, page.url),
    );
    const answers = await Promise.all(scripts.map((script) => get(script)));
    const served =
      scripts.length > 0 &&
      answers.every((answer) => answer.status === 200) &&
      scripts.every(({ origin }) => origin === base);
    expect(page.status === 200 && served, `GET ${path} is 200, its ${scripts.length} scripts too, from here`);
  }
  const authorization = `Bearer ${token}`;
  expect((await status('/api/events')) === 401, 'GET /api/events without the token is 401');
  const body = JSON.stringify({ event_type: 'container_layout', severity: 'info', message: 'laid out' });
  const headers = { authorization, 'content-type': 'application/json' };
  expect((await status('/api/events', { method: 'POST', headers, body })) === 201, 'POST /api/events is 201');
  expect((await status('/api/events', { headers: { authorization } })) === 200, 'GET /api/events is 200');
}

async function main() {
  if (process.argv.includes('--help') || process.argv.includes('-h')) return void console.log(HELP);
  if (process.argv.length > 2 || !process.env.DATABASE_URL) {
    console.error(HELP);
    process.exitCode = 2;
    return;
  }
  // As the engine's own: a strict umask of this shell must not decide what the image's user can read.
  process.umask(0o022);
  const folder = mkdtempSync(join(tmpdir(), 'eventdeck-layout-'));
  chmodSync(folder, 0o755);
  const running = new Set();
  const clean = () => {
    for (const child of running) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => (clean(), process.exit(1)));
  try {
    console.log('building');
    const stage = await build(folder);
    console.log('the files of the image');
    checkFiles(stage);
    console.log(`the process, ${asRoot ? `as uid ${NOBODY}` : 'as this user'}, on Node ${process.versions.node}`);
    await checkProcess(stage, running);
    console.log('all of it held');
  } catch (error) {
    console.error(error instanceof Failure ? error.message : error);
    process.exitCode = 1;
  } finally {
    clean();
  }
}

await main();
