import { breaksConnection } from './database-fault';
import { execute, type Connection } from './statement';

export interface TransactionOptions {
  /** Milliseconds that it waits for each lock at most; else as long as a statement may take. */
  lockTimeoutMs?: number;
}

/**
 * Runs `work` in a transaction on `connection`; commits when it succeeds, else rolls back.
 *
 * @throws what `work` throws; SQLSTATE 55P03 when it does not get a lock in time
 */
export async function inTransaction<T>(
  connection: Connection,
  work: () => Promise<T>,
  { lockTimeoutMs }: TransactionOptions = {},
): Promise<T> {
  // In one message: the limit costs no time of its own.
  const begin = lockTimeoutMs === undefined ? 'BEGIN' : `BEGIN; SET LOCAL lock_timeout = ${lockTimeoutMs}`;
  try {
    await execute(connection, begin);
    const result = await work();
    await execute(connection, 'COMMIT');
    return result;
  } catch (error) {
    // Of one that cannot even roll back, whoever gave the connection must hear.
    if (!breaksConnection(error)) await execute(connection, 'ROLLBACK');
    throw error;
  }
}
