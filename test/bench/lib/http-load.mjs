import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { run, versionOf } from './processes.mjs';

const SCRIPT = join(import.meta.dirname, 'load.lua');

/** Seconds after which an answer counts as missing. */
const TIMEOUT_S = 10;

let files = 0;

/** The load generator that was asked for, or wrk where it is installed, else autocannon. */
export async function chooseGenerator(wanted, folder) {
  const version = /^wrk \S+/.exec((await versionOf('wrk', '-v')) ?? '')?.[0];
  if (wanted === 'wrk' && !version) throw new Error('wrk is not installed; leave --generator out.');
  if (wanted !== 'autocannon' && version) return { version, load: (spec) => wrk(spec, folder) };
  const { version: number } = createRequire(import.meta.url)('autocannon/package.json');
  return { version: `autocannon ${number}`, load: autocannon };
}

/**
 * Sends `requests` (`{ method, path, body }`) in turn over `connections` for `seconds`.
 *
 * @returns answers a second and their number; @throws when an answer is not a success or is missing
 */
export async function httpLoad(generator, spec) {
  const { seconds, answers, refused, broken } = await generator.load(spec);
  if (answers === 0) throw new Error('the server answered nothing');
  if (refused + broken > 0) {
    throw new Error(`of ${answers} answers ${refused} were no success, and ${broken} connections or answers failed`);
  }
  return { perSecond: answers / seconds, answers };
}

async function wrk({ url, requests, connections, seconds }, folder) {
  const file = join(folder, `requests-${(files += 1)}.tsv`);
  writeFileSync(file, requests.map(({ method, path, body = '' }) => `${method}\t${path}\t${body}\n`).join(''));
  // One thread is far from its limit here, and the other core belongs to the server.
  const args = [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    `--timeout`,
    `${TIMEOUT_S}s`,
    '-s',
    SCRIPT,
    url,
    '--',
    file,
  ];
  const output = await run('wrk', args);
  const [, summary] = /^SUMMARY (.*)$/m.exec(output) ?? [];
  if (!summary) throw new Error(`wrk printed no summary: ${output.slice(-500)}`);
  return JSON.parse(summary);
}

async function autocannon({ url, requests, connections, seconds }) {
  const { default: start } = await import('autocannon');
  const headers = { 'content-type': 'application/json' };
  const result = await start({
    url,
    connections,
    duration: seconds,
    timeout: TIMEOUT_S,
    requests: requests.map(({ method, path, body }) => ({ method, path, ...(body && { body, headers }) })),
  });
  return {
    seconds: result.duration,
    answers: result.requests.total,
    refused: result.non2xx,
    broken: result.errors + result.timeouts,
  };
}
