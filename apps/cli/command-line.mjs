import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { URL } from 'node:url';
import { parseArgs } from 'node:util';

const DEFAULT_URL = 'http://127.0.0.1:8001';

/** The media type of each format of events as a file. */
export const MEDIA_TYPES = { ndjson: 'application/x-ndjson', json: 'application/json', csv: 'text/csv' };

/** The formats by the ends of file names. */
const EXTENSIONS = { '.ndjson': 'ndjson', '.jsonl': 'ndjson', '.json': 'json', '.csv': 'csv' };

/** What makes a command end with a message and an exit code: 1 when it failed, 2 when it was not understood. */
export class CommandError extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What every command understands beside its own options. */
const COMMON_OPTIONS = { url: { type: 'string' }, format: { type: 'string' }, help: { type: 'boolean', short: 'h' } };

/**
 * The command line: where the service is, the file (`-` for standard input or output), its format, and the command's own
 * options.
 *
 * @param options as for `parseArgs` of Node
 * @throws CommandError for what is not understood
 */
export function readCommandLine(args, options) {
  const { values, positionals } = parse(args, { ...COMMON_OPTIONS, ...options });
  const { url = DEFAULT_URL, format, help = false, ...own } = values;
  if (positionals.length > 1) throw new CommandError(`One file at a time, not also ${positionals[1]}.`, 2);
  return { help, file: positionals[0], format, url: toBase(url), own };
}

/** The format that was told, or else that of the file's name; `fallback` for standard input and output. */
export function formatOf(file, told, fallback) {
  const known = Object.keys(MEDIA_TYPES).join(', ');
  if (told !== undefined && !Object.hasOwn(MEDIA_TYPES, told)) {
    throw new CommandError(`The format must be one of ${known}, not ${told}.`, 2);
  }
  const format = told ?? (file === '-' ? fallback : EXTENSIONS[extname(file).toLowerCase()]);
  if (format === undefined) {
    throw new CommandError(`The name ${file} does not tell the format: add --format with one of ${known}.`, 2);
  }
  return format;
}

/** `API_TOKEN` of the environment, or of a `.env` file in the working directory, as the service itself reads it. */
export function apiToken() {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return process.env.API_TOKEN || undefined;
}

/** Runs a command and ends the process with its exit code; what goes wrong is one line on standard error. */
export async function run(command) {
  try {
    process.exitCode = await command(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    console.error(error.message);
    process.exitCode = error.exitCode;
  }
}

function parse(args, options) {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new CommandError(`${error.message}\nTry --help.`, 2);
  }
}

function toBase(text) {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new CommandError(`--url must be the http or https address of the service, not ${text}.`, 2);
  }
  return text.endsWith('/') ? text : `${text}/`;
}
