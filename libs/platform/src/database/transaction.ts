import { breaksConnection } from './database-fault';
import { execute, type Connection } from './statement';

/** Runs `work` in a transaction on `connection`; commits when it succeeds, else rolls back. @throws what `work` throws */
export async function inTransaction<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  try {
    await execute(connection, 'BEGIN');
    const result = await work();
    await execute(connection, 'COMMIT');
    return result;
  } catch (error) {
    // Of one that cannot even roll back, whoever gave the connection must hear.
    if (!breaksConnection(error)) await execute(connection, 'ROLLBACK');
    throw error;
  }
}
