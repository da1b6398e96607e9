import type { QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { QueryFailedError } from 'typeorm';

/** Where a statement runs: the pool, each time on any of its connections, or one connection. */
export interface Connection {
  query<Row extends QueryResultRow>(config: QueryConfig): Promise<QueryResult<Row>>;
}

/**
 * A statement that is sent again and again: each connection parses and plans it once (a named statement of the extended
 * query protocol), which TypeORM's own `query` does not offer.
 */
export class Statement<Row extends QueryResultRow> {
  /**
   * @param name one for each text: a connection knows a statement by its name; without one it is planned each time, as
   *   is best where the plan depends on the values, or texts are too many to keep
   */
  constructor(
    private readonly name: string | undefined,
    readonly text: string,
  ) {}

  /** @throws QueryFailedError as TypeORM's `query` does */
  run(connection: Connection, values: unknown[]): Promise<Row[]> {
    return send<Row>(connection, { ...(this.name && { name: this.name }), text: this.text, values });
  }
}

/** Runs a statement without parameters: `BEGIN`, `SAVEPOINT` and their like. @throws QueryFailedError */
export async function execute(connection: Connection, text: string): Promise<void> {
  await send(connection, { text });
}

async function send<Row extends QueryResultRow>(connection: Connection, query: QueryConfig): Promise<Row[]> {
  try {
    const { rows } = await connection.query<Row>(query);
    return rows;
  } catch (error) {
    throw new QueryFailedError(query.text, query.values, error as Error);
  }
}
