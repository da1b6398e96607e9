import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { PoolClient } from 'pg';

/**
 * The cluster, the database in it, the table of this installation, and when the server was started. After a failover, or a
 * restore of files, it is a server that was started at another time; after a restore by `pg_restore` another database, or
 * another table.
 */
const BASICS = `
  (SELECT oid FROM pg_database WHERE datname = current_database()), to_regclass('system_events')::oid,
  extract(epoch FROM pg_postmaster_start_time())`;

/** The timeline is another one after a promotion; the control file would tell it only after a checkpoint. */
const EVERYTHING = `SELECT concat_ws(' ', ${BASICS}, (SELECT system_identifier FROM pg_control_system()),
  CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END) AS facts`;

/** What anybody may ask everywhere: some providers forbid the functions for servers. */
const LEAST = `SELECT concat_ws(' ', ${BASICS}) AS facts`;

/**
 * Which database the process talks to, so that nothing that was cached of another one is taken for its own: two
 * installations may share a Redis, and a database may be restored, made anew, or replaced by a standby that lacks its last
 * commits. It is read on each new connection, before the connection is used, and not known while there is none.
 *
 * What remains: a database that is replaced while its connections go on, as when tables are emptied and filled again, or
 * behind a proxy that hides a failover. What is cached may be of before until a connection is made, or for its TTL.
 */
@Injectable()
export class DatabaseIdentity {
  private known: string | undefined;
  private connections = 0;

  /** 16 characters without a space; `undefined` while there is no connection. */
  get current(): string | undefined {
    return this.known;
  }

  /** To be called for each connection of the pool, before it is used; never fails. */
  readonly onConnect = async (connection: PoolClient): Promise<void> => {
    this.connections++;
    connection.once('end', () => {
      if (--this.connections === 0) this.known = undefined;
    });
    const facts = await read(connection, EVERYTHING).catch(() => read(connection, LEAST).catch(() => undefined));
    this.known = facts && createHash('sha256').update(facts).digest('base64url').slice(0, 16);
  };
}

async function read(connection: PoolClient, text: string): Promise<string | undefined> {
  const { rows } = await connection.query<{ facts: string }>(text);
  return rows[0]?.facts;
}
