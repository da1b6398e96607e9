import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { URL } from 'node:url';
import { parseArgs } from 'node:util';

/** Names of the databases that the benchmark makes; it touches no other. */
export const DATABASE_PREFIX = 'eventdeck_bench_';

const DEFAULT_DATABASE = 'postgres://postgres@127.0.0.1:5432/postgres';

/** Every option: its help, what it is when left out, and what a given text means. Without `parse` it is a switch. */
const OPTIONS = {
  rows: {
    label: 'N',
    help: 'rows of the large table (5000000 when left out, as the requirements ask for)',
    absent: '5000000',
    parse: integer(1_000),
  },
  seconds: { label: 'S', help: 'seconds of each measurement (5)', absent: '5', parse: integer(1) },
  rounds: {
    label: 'R',
    help: 'rounds: ours and the references take turns, the medians count (3; with --against 7)',
    parse: integer(1),
  },
  against: {
    label: 'FOLDER',
    help: `measures this build against another one instead of the references: a checkout with its own dist
                     and node_modules. Exits 1 when a row is dearer beyond noise`,
    parse: builtFolder,
  },
  posts: { label: 'N', help: 'events that the memory row posts (1000000)', absent: '1000000', parse: integer(1_000) },
  only: { label: 'A,B', help: 'only these rows', parse: (text) => text.split(',') },
  generator: {
    label: 'NAME',
    help: 'wrk or autocannon (wrk where it is installed)',
    parse: oneOf(['wrk', 'autocannon']),
  },
  database: {
    label: 'URL',
    help: `PostgreSQL, for a role that may create databases (TEST_DATABASE_URL, else
                     ${DEFAULT_DATABASE})`,
    absent: process.env.TEST_DATABASE_URL || DEFAULT_DATABASE,
    parse: databaseUrl,
  },
  keep: { help: 'leaves the database of the large table, and says its name' },
  reuse: { label: 'NAME', help: 'takes such a database instead of loading one, and leaves it', parse: databaseName },
  write: { help: 'writes the document below docs/' },
  help: { help: 'prints this' },
};

const PLAN_OPTIONS = ['rows', 'database', 'keep', 'reuse', 'write', 'help'];

/** Wrong options; the message is for whoever gave them. */
export class OptionError extends Error {}

/** @param rowIds what `--only` may name */
export function usage(rowIds) {
  return `npm run bench -- [options]

Measures the built application against its references, in turn and in the same run, and prints a table of medians and
ratios. Exits 0 when every row holds, 1 when one falls short, 2 for wrong options.

${helpOf(Object.keys(OPTIONS))}

The rows are ${rowIds.join(', ')}. It makes databases named ${DATABASE_PREFIX}…
and drops them at the end, also after Ctrl-C. A full run takes about ten minutes, one with --against about twenty.

With --against both builds run at the same time, on databases of their own, and take turns in every round. A row is the
CPU time of a request, of Node and of its connections to PostgreSQL together (memory: resident after the round). Its
ratio is the median of the rounds; it is worse when three quarters of the rounds are more than 10 % dearer.`;
}

/** What `bench:plans --help` prints. */
export function planUsage() {
  return `npm run bench:plans -- [options]

Records the statements that the application sends for each kind of request, and their plans over the large table. Exits
0 when all answer and none scans the table that must not, 1 otherwise, 2 for wrong options.

${helpOf(PLAN_OPTIONS)}`;
}

/** @throws OptionError */
export function parseOptions(args, rowIds) {
  const options = parse(args, Object.keys(OPTIONS));
  const unknown = (options.only ?? []).filter((id) => !rowIds.includes(id));
  if (unknown.length > 0) throw new OptionError(`--only does not know ${unknown.join(', ')}, but ${rowIds.join(', ')}`);
  // A document of some rows would look as if the others had been forgotten.
  if (options.write && options.only) throw new OptionError('--write needs every row: leave --only out');
  if (options.against !== undefined) refuseWithAgainst(options);
  const rounds = options.rounds ?? (options.against === undefined ? 3 : 7);
  return { ...options, rounds, only: rowIds.filter((id) => !options.only || options.only.includes(id)) };
}

// The document is of the references, and a kept database has the tables of one build.
function refuseWithAgainst(options) {
  for (const name of ['write', 'keep', 'reuse']) {
    if (options[name]) throw new OptionError(`--${name} does not go with --against`);
  }
}

/** @throws OptionError */
export function parsePlanOptions(args) {
  return parse(args, PLAN_OPTIONS);
}

function parse(args, names) {
  const known = names.map((name) => [name, { type: OPTIONS[name].parse ? 'string' : 'boolean' }]);
  const given = parsed(args, Object.fromEntries(known));
  return Object.fromEntries(
    names.map((name) => {
      const { absent, parse: read } = OPTIONS[name];
      if (!read) return [name, given[name] ?? false];
      const text = given[name] ?? absent;
      return [name, text === undefined ? undefined : read(text, name)];
    }),
  );
}

function parsed(args, options) {
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new OptionError(error.message);
  }
}

function helpOf(names) {
  const flag = (name) => `--${name}${OPTIONS[name].label ? ` ${OPTIONS[name].label}` : ''}`;
  return names.map((name) => `  ${flag(name).padEnd(18)} ${OPTIONS[name].help}`).join('\n');
}

function integer(min) {
  return (text, name) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (Number.isSafeInteger(value) && value >= min) return value;
    throw new OptionError(`--${name} must be an integer from ${min} on`);
  };
}

function builtFolder(text, name) {
  const folder = resolve(text);
  const missing = ['package.json', 'dist/ormconfig.js', 'node_modules'].find((part) => !existsSync(join(folder, part)));
  if (missing === undefined) return folder;
  throw new OptionError(`--${name}: ${folder} has no ${missing}; it needs npm ci and npm run build`);
}

function oneOf(values) {
  return (text, name) => {
    if (values.includes(text)) return text;
    throw new OptionError(`--${name} must be ${values.join(' or ')}`);
  };
}

function databaseUrl(text, name) {
  if (URL.canParse(text) && /^postgres(ql)?:$/.test(new URL(text).protocol)) return text;
  throw new OptionError(`--${name} must be a URL like ${DEFAULT_DATABASE}`);
}

function databaseName(text, name) {
  if (new RegExp(`^${DATABASE_PREFIX}[a-z0-9_]+$`).test(text)) return text;
  throw new OptionError(`--${name} must name a database that --keep left (${DATABASE_PREFIX}…)`);
}
