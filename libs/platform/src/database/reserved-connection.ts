import { Pool, type PoolConfig, type QueryConfig, type QueryResult, type QueryResultRow } from 'pg';
import type { Connection } from './statement';

/** SQLSTATE of a server, database or role that has no connection left. */
const TOO_MANY_CONNECTIONS = '53300';

/** One connection, made when it is first used and made anew when it broke; statements wait for each other. */
export class ReservedConnection implements Connection {
  private readonly pool: Pool;
  private closing: Promise<void> | undefined;

  /**
   * @param options of a pool of one connection
   * @param fallback takes statements while the server has no connection left for it
   */
  constructor(
    options: PoolConfig,
    private readonly fallback: () => Connection,
  ) {
    this.pool = new Pool(options);
    // One that breaks while it is idle; the next statement makes another.
    this.pool.on('error', () => undefined);
  }

  /** @throws whatever the driver says */
  async query<Row extends QueryResultRow>(config: QueryConfig): Promise<QueryResult<Row>> {
    try {
      return await this.pool.query<Row>(config);
    } catch (error) {
      // Nothing was sent: it was refused when it was made.
      if ((error as { code?: string }).code === TOO_MANY_CONNECTIONS) return this.fallback().query<Row>(config);
      throw error;
    }
  }

  /** Ends the connection when no statement is under way any more; may be called again. */
  close(): Promise<void> {
    return (this.closing ??= this.pool.end());
  }
}
