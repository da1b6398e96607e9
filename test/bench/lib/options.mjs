import { parseArgs } from 'node:util';

/** Rows of the large table that the requirements speak of. */
const REQUIRED_ROWS = 5_000_000;

/** Names of the databases that the benchmark makes; it touches no other. */
export const DATABASE_PREFIX = 'eventdeck_bench_';

/** @param rowIds what `--only` may name */
export function usage(rowIds) {
  return `npm run bench -- [options]

Measures the built application against its references, in turn and in the same run, and prints a table of medians and
ratios. Exits 0 when every row holds, 1 when one falls short, 2 for wrong options.

  --rows N            rows of the large table (default ${REQUIRED_ROWS}, what the requirements ask for)
  --seconds S         seconds of each measurement (default 5)
  --rounds R          rounds; ours and the reference take turns, the medians count (default 3)
  --posts N           events that the memory row posts (default 1000000)
  --only A,B          only these rows: ${rowIds.join(', ')}
  --database URL      PostgreSQL, as a role that may create databases (default TEST_DATABASE_URL, else
                      postgres://postgres@127.0.0.1:5432/postgres)
  --generator NAME    wrk or autocannon (default wrk where it is installed)
  --keep              leaves the database of the large table and says its name
  --reuse NAME        takes such a database instead of loading one, and leaves it
  --write             writes docs/benchmarks.md; not together with --only
  --help              prints this

It makes databases named ${DATABASE_PREFIX}… and drops them at the end, also after Ctrl-C. A full run takes about ten
minutes, the load of the large table included.`;
}

/** Wrong options; the message is for whoever gave them. */
export class OptionError extends Error {}

/** @throws OptionError */
export function parseOptions(args, rowIds) {
  const given = parse(args);
  if (given.help) return { help: true };
  const options = {
    help: false,
    rows: integer('rows', given.rows, 1_000),
    seconds: integer('seconds', given.seconds, 1),
    rounds: integer('rounds', given.rounds, 1),
    posts: integer('posts', given.posts, 1_000),
    only: rowList(given.only, rowIds),
    database: databaseUrl(given.database),
    generator: given.generator,
    keep: given.keep,
    reuse: given.reuse,
    write: given.write,
  };
  if (options.generator !== undefined && !['wrk', 'autocannon'].includes(options.generator)) {
    throw new OptionError('--generator must be wrk or autocannon');
  }
  if (options.reuse !== undefined && !new RegExp(`^${DATABASE_PREFIX}[a-z0-9_]+$`).test(options.reuse)) {
    throw new OptionError(`--reuse must name a database that --keep left (${DATABASE_PREFIX}…)`);
  }
  // A document of some rows would look as if the others had been forgotten.
  if (options.write && given.only !== undefined) throw new OptionError('--write needs every row: leave --only out');
  return options;
}

function parse(args) {
  const text = { type: 'string' };
  try {
    return parseArgs({
      args,
      options: {
        rows: { ...text, default: String(REQUIRED_ROWS) },
        seconds: { ...text, default: '5' },
        rounds: { ...text, default: '3' },
        posts: { ...text, default: '1000000' },
        only: text,
        database: {
          ...text,
          default: process.env.TEST_DATABASE_URL || 'postgres://postgres@127.0.0.1:5432/postgres',
        },
        generator: text,
        keep: { type: 'boolean', default: false },
        reuse: text,
        write: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new OptionError(error.message);
  }
}

function integer(name, text, min) {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value) || value < min) throw new OptionError(`--${name} must be an integer from ${min} on`);
  return value;
}

function rowList(text, rowIds) {
  const wanted = text === undefined ? rowIds : text.split(',');
  const unknown = wanted.filter((id) => !rowIds.includes(id));
  if (unknown.length > 0) {
    throw new OptionError(`--only knows ${rowIds.join(', ')}; it does not know ${unknown.join(', ')}`);
  }
  return rowIds.filter((id) => wanted.includes(id));
}

function databaseUrl(text) {
  if (!URL.canParse(text) || !/^postgres(ql)?:$/.test(new URL(text).protocol)) {
    throw new OptionError('--database must be a URL like postgres://user@host:5432/postgres');
  }
  return text;
}
