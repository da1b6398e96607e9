import { readdir, readFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { Client } from 'pg';

/** What a process holds at a moment. */
export interface Resources {
  residentMiB: number;
  /** Open files and sockets. */
  descriptors: number;
  postgresConnections: number;
  redisConnections: number;
}

// Of its own name: the watch is a connection to the same database.
const CONNECTIONS = `SELECT count(*)::int AS count FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = 'eventdeck'`;

/** Looks at a process from outside: at the system (Linux), at its PostgreSQL and at its Redis, which nobody else uses. */
export class ResourceWatch {
  private constructor(
    private readonly pid: number,
    private readonly postgres: Client,
    private readonly redis: Redis,
  ) {}

  static async open(pid: number, databaseUrl: string, redisUrl: string): Promise<ResourceWatch> {
    const postgres = new Client({ connectionString: databaseUrl });
    await postgres.connect();
    return new ResourceWatch(pid, postgres, new Redis(redisUrl));
  }

  async look(): Promise<Resources> {
    const [status, descriptors, { rows }, clients] = await Promise.all([
      readFile(`/proc/${this.pid}/status`, 'utf8'),
      readdir(`/proc/${this.pid}/fd`),
      this.postgres.query<{ count: number }>(CONNECTIONS),
      this.redis.info('clients'),
    ]);
    return {
      residentMiB: numberIn(status, /^VmRSS:\s+(\d+) kB$/m) / 1024,
      descriptors: descriptors.length,
      postgresConnections: rows[0]?.count ?? 0,
      redisConnections: numberIn(clients, /^connected_clients:(\d+)/m) - 1,
    };
  }

  async close(): Promise<void> {
    this.redis.disconnect();
    await this.postgres.end();
  }
}

function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`${pattern.source} is not in ${text}`);
  return Number(found);
}
