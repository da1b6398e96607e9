import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { libpqEnvironment } from './databases.mjs';
import { run } from './processes.mjs';

const COLUMNS = ['event_type', 'severity', 'message', 'details', 'source'];

/**
 * Runs an INSERT with prepared statements (`pgbench -M prepared`).
 *
 * @param spec `script` is a file, `clients` connections send it for `seconds`
 * @returns statements a second, as pgbench counts them
 */
export async function pgbench({ url, script, clients, seconds }) {
  const args = ['-n', '-M', 'prepared', '-c', String(clients), '-j', '2', '-T', String(seconds), '-f', script];
  const output = await run('pgbench', args, libpqEnvironment(url));
  const [, perSecond] = /^tps = ([\d.]+)/m.exec(output) ?? [];
  if (!perSecond) throw new Error(`pgbench printed no rate: ${output.slice(-500)}`);
  return Number(perSecond);
}

/** A script that inserts any one of `events`. */
export function oneRowScript(folder, table, events) {
  const picked = COLUMNS.map((column) => {
    const values = events.map((event) => literal(event[column])).join(', ');
    return `(ARRAY[${values}]::${column === 'details' ? 'jsonb' : 'text'}[])[:event]`;
  });
  return write(folder, `one-${table}.sql`, [
    `\\set event random(1, ${events.length})`,
    `INSERT INTO ${table} (${COLUMNS.join(', ')}) VALUES (${picked.join(', ')});`,
  ]);
}

/** A script that inserts all of `events` with one statement. */
export function allRowsScript(folder, table, events) {
  const rows = events.map((event) => `(${COLUMNS.map((column) => literal(event[column])).join(', ')})`);
  return write(folder, `all-${table}.sql`, [`INSERT INTO ${table} (${COLUMNS.join(', ')}) VALUES ${rows.join(', ')};`]);
}

function write(folder, name, lines) {
  const file = join(folder, name);
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

// pgbench takes ":name" for a variable, inside a literal too.
function literal(value) {
  if (value === null) return 'NULL';
  return pg.escapeLiteral(typeof value === 'string' ? value : JSON.stringify(value).replaceAll(':', ': '));
}
