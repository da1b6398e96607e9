import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { query } from './databases.mjs';
import { OptionError } from './options.mjs';

// Of the application alone: this question has a connection of its own, too.
const BACKENDS = `SELECT pid FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = 'eventdeck' AND pid <> pg_backend_pid()`;

/**
 * The CPU time that an application and its connections to PostgreSQL use, on this machine (Linux). Unlike a rate it
 * hardly depends on what else the machine does. What PostgreSQL does in the background is not in it.
 */
export class CpuMeter {
  #last = new Map();

  constructor(databaseUrl, pid) {
    Object.assign(this, { databaseUrl, pid });
  }

  /** @returns microseconds since the call before */
  async lap() {
    const backends = await query(this.databaseUrl, BACKENDS);
    const now = new Map([this.pid, ...backends.map(({ pid }) => pid)].map((pid) => [pid, cpuNanoseconds(pid)]));
    let used = 0;
    for (const [pid, nanoseconds] of now) used += nanoseconds - (this.#last.get(pid) ?? 0);
    this.#last = now;
    return used / 1000;
  }
}

/** @throws OptionError when the CPU time of PostgreSQL cannot be read here */
export async function requireLocalPostgres(databaseUrl) {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
    if (commandOf(rows[0].pid).startsWith('postgres')) return;
  } finally {
    await client.end();
  }
  throw new OptionError('--against reads CPU time from /proc: it needs Linux, and PostgreSQL on the same machine');
}

function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8');
  } catch {
    return '';
  }
}

/** What all threads of a process have used; 0 when it has ended. */
function cpuNanoseconds(pid) {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.reduce((sum, thread) => sum + runNanoseconds(`/proc/${pid}/task/${thread}/schedstat`), 0);
  } catch {
    return 0;
  }
}

function runNanoseconds(file) {
  return Number(readFileSync(file, 'utf8').split(' ', 1)[0]);
}
