import { Client, type PoolConfig } from 'pg';
import { DataSource, MigrationExecutor, type Logger, type Migration, type QueryRunner } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions';
import type { DatabaseConfig } from '../config/config';
import type { DatabaseIdentity } from './database-identity';
import { EmbeddedPostgres } from '../embedded-postgres/embedded-postgres';
import { TypeOrmLogger } from './typeorm-logger';

/** The entities and migrations of all features, listed by class in `ormconfig.ts`. */
export interface Schema {
  entities: NonNullable<PostgresDataSourceOptions['entities']>;
  migrations: NonNullable<PostgresDataSourceOptions['migrations']>;
}

/** Key of the advisory lock that one migrating process holds (`pg_locks` shows it): "evtd" in ASCII. */
const MIGRATION_LOCK = 0x65_76_74_64;

/** The client waits this much longer than the server's own statement limit before it gives a connection up. */
const QUERY_TIMEOUT_GRACE_MS = 1000;

/**
 * Options of the DataSource that serves requests: a bounded pool, a limit on connecting and on every statement.
 * A statement over the limit is cancelled by the server; when the server itself hangs, the client gives up.
 */
export function requestOptions(
  config: DatabaseConfig,
  url: string,
  schema: Schema,
  identity: DatabaseIdentity,
): PostgresDataSourceOptions {
  return {
    ...baseOptions(config, url, schema),
    logger: new TypeOrmLogger(),
    poolSize: config.pool.max,
    extra: {
      Client: ImpatientClient,
      min: config.pool.min,
      statement_timeout: config.statementTimeoutMs,
      query_timeout: config.statementTimeoutMs + QUERY_TIMEOUT_GRACE_MS,
      keepAlive: true,
      onConnect: identity.onConnect,
    },
  };
}

/** Milliseconds that a statement of a probe or a heartbeat may take. */
const RESERVED_STATEMENT_MS = 2000;

/** Options of the one connection beside the pool, for what must be told also when requests hold the whole pool. */
export function reservedOptions(config: DatabaseConfig, url: string): PoolConfig {
  return {
    connectionString: url,
    Client: ImpatientClient,
    application_name: 'eventdeck-reserved',
    connectionTimeoutMillis: config.connectTimeoutMs,
    min: 1,
    max: 1,
    statement_timeout: RESERVED_STATEMENT_MS,
    query_timeout: RESERVED_STATEMENT_MS + QUERY_TIMEOUT_GRACE_MS,
    keepAlive: true,
    ...(config.tls && { ssl: config.tls }),
  };
}

function baseOptions(config: DatabaseConfig, url: string, schema: Schema): PostgresDataSourceOptions {
  return {
    type: 'postgres',
    url,
    ...schema,
    applicationName: 'eventdeck',
    connectTimeoutMS: config.connectTimeoutMs,
    synchronize: false,
    logging: false,
    installExtensions: false,
    migrationsTransactionMode: 'each',
    ...(config.tls && { ssl: config.tls }),
  };
}

/** Drops its connection when a query met `query_timeout`: the answer could still come, to whoever asks next. */
class ImpatientClient extends Client {
  override query: Client['query'] = ((...args: unknown[]) => {
    const result = (super.query as (...queryArgs: unknown[]) => unknown).apply(this, args);
    if (result instanceof Promise) {
      result.catch((error: unknown) => {
        if (error instanceof Error && error.message === 'Query read timeout') this.dropConnection();
      });
    }
    return result;
  }) as Client['query'];

  private dropConnection(): void {
    (this as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  }
}

/**
 * The DataSource that migrates: one connection without a statement limit, and an advisory lock, so that of several
 * processes at once one migrates and the rest wait and then find nothing to do. The TypeORM command line uses it too.
 * Without `DATABASE_URL` it starts the embedded PostgreSQL and stops it again. Without a `logger` it prints what it does
 * for whoever looks on.
 */
export class MigrationDataSource extends DataSource {
  private embedded: EmbeddedPostgres | undefined;

  constructor(
    private readonly config: DatabaseConfig,
    schema: Schema,
    url = config.url,
    logger?: Logger,
  ) {
    super({ ...baseOptions(config, url ?? '', schema), ...(logger && { logger }), poolSize: 2 });
  }

  override async initialize(): Promise<this> {
    if ((this.options as PostgresDataSourceOptions).url === '') {
      this.embedded = await EmbeddedPostgres.start({
        dataDir: this.config.dataDir,
        log: (message) => console.error(message),
      });
      this.setOptions({ url: this.embedded.url });
    }
    try {
      return await super.initialize();
    } catch (error) {
      await this.embedded?.stop();
      throw error;
    }
  }

  override async destroy(): Promise<void> {
    await super.destroy();
    await this.embedded?.stop();
  }

  override runMigrations(options?: { transaction?: 'all' | 'none' | 'each'; fake?: boolean }): Promise<Migration[]> {
    return this.locked((queryRunner) => this.executor(queryRunner, options).executePendingMigrations());
  }

  override undoLastMigration(options?: { transaction?: 'all' | 'none' | 'each'; fake?: boolean }): Promise<void> {
    return this.locked((queryRunner) => this.executor(queryRunner, options).undoLastMigration());
  }

  private executor(
    queryRunner: QueryRunner,
    options: { transaction?: 'all' | 'none' | 'each'; fake?: boolean } = {},
  ): MigrationExecutor {
    const executor = new MigrationExecutor(this, queryRunner);
    executor.transaction = options.transaction ?? 'each';
    executor.fake = options.fake ?? false;
    return executor;
  }

  private async locked<T>(work: (queryRunner: QueryRunner) => Promise<T>): Promise<T> {
    const queryRunner = this.createQueryRunner();
    try {
      await queryRunner.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
      return await work(queryRunner);
    } finally {
      // A connection that broke has already given the lock up.
      await queryRunner.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined);
      await queryRunner.release();
    }
  }
}
