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
   * @param name one for each text: a connection knows a statement by its name
   */
  constructor(
    private readonly name: string,
    readonly text: string,
  ) {}

  /** @throws QueryFailedError as TypeORM's `query` does */
  async run(connection: Connection, values: unknown[]): Promise<Row[]> {
    try {
      const { rows } = await connection.query<Row>({ name: this.name, text: this.text, values });
      return rows;
    } catch (error) {
      throw new QueryFailedError(this.text, values, error as Error);
    }
  }
}
