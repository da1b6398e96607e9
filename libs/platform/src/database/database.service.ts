import { setTimeout as sleep } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import type { Pool, PoolClient } from 'pg';
import { DataSource } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver';
import type { Config } from '../config/config';
import { CONFIG } from '../config/config.module';
import { AppError } from '../http/app-error';
import { ConnectionQuotas, type ConnectionQuota, type QuotaLimits } from './connection-quota';
import { MigrationDataSource, reservedOptions, type Schema } from './data-source';
import { breaksConnection, isUnavailable, unavailable, UNDEFINED_TABLE } from './database-fault';
import { ReservedConnection } from './reserved-connection';
import type { Connection } from './statement';
import { inTransaction, type TransactionOptions } from './transaction';
import { TypeOrmLogger } from './typeorm-logger';

/** Injection token of the entities and migrations. */
export const SCHEMA = Symbol('SCHEMA');

/** Milliseconds the start waits for the database before it serves without, and the end before it leaves without. */
const PATIENCE_MS = 3000;

/** Milliseconds between two attempts to connect: the first and the longest pause. */
const RETRY_MS = { first: 250, longest: 5000 };

export interface PoolStatus {
  size: number;
  free: number;
}

/** Connects in the background until it succeeds, migrates when asked to, and tells how the database is. */
@Injectable()
export class DatabaseService implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  private readonly logger = new Logger(DatabaseService.name);
  private readonly migrationLogger = new TypeOrmLogger();
  private readonly stopping = new AbortController();
  private readonly quotas: ConnectionQuotas;
  private readonly reservedConnection: ReservedConnection;
  private connecting: Promise<void> = Promise.resolve();

  constructor(
    private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(SCHEMA) private readonly schema: Schema,
  ) {
    this.quotas = new ConnectionQuotas(config.database.pool.max);
    const { url = '' } = dataSource.options as PostgresDataSourceOptions;
    this.reservedConnection = new ReservedConnection(reservedOptions(config.database, url), () => this.pool);
  }

  async onApplicationBootstrap(): Promise<void> {
    this.connecting = this.connect();
    await this.waitForConnection();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    await this.waitForConnection();
  }

  // Whoever uses it, heartbeats at the end of a run too, has shut down before: this module is global.
  async onApplicationShutdown(): Promise<void> {
    await this.reservedConnection.close();
  }

  /** Whether connections are made at all; a database that went away later shows in `ping`. */
  get isConnected(): boolean {
    return this.dataSource.isInitialized;
  }

  /**
   * The one connection beside the pool, for statements of some milliseconds that must be sent also when requests hold the
   * whole pool: probes and heartbeats. They wait for each other. @throws AppError `unavailable` before the first connection
   */
  get reserved(): Connection {
    if (!this.isConnected) throw notYetAvailable();
    return this.reservedConnection;
  }

  /** A quota of the pool for one kind of work; see `ConnectionQuotas`. */
  createQuota(limits: QuotaLimits): ConnectionQuota {
    return this.quotas.create(limits);
  }

  /** Resolves when the database answers. @throws whatever the driver says */
  async ping(): Promise<void> {
    await this.reserved.query({ text: 'SELECT 1' });
  }

  /** Names of the migrations that are still to run. @throws whatever the driver says */
  async pendingMigrations(): Promise<string[]> {
    const executed = new Set(await this.executedMigrations());
    return this.dataSource.migrations
      .map((migration) => migration.name ?? migration.constructor.name)
      .filter((name) => !executed.has(name));
  }

  /** Connections open and unused at this moment. */
  poolStatus(): PoolStatus {
    return { size: this.existingPool?.totalCount ?? 0, free: this.existingPool?.idleCount ?? 0 };
  }

  /** The pool that TypeORM uses, for a `Statement`. @throws AppError `unavailable` before the first connection */
  get pool(): Pool {
    const pool = this.existingPool;
    if (!pool) throw notYetAvailable();
    return pool;
  }

  /**
   * Runs `work` in a transaction on a connection of its own; commits when it succeeds, else rolls back.
   *
   * @throws what `work` throws; AppError `unavailable`
   */
  transaction<T>(work: (connection: PoolClient) => Promise<T>, options?: TransactionOptions): Promise<T> {
    return this.onConnection((connection) => inTransaction(connection, () => work(connection), options));
  }

  /**
   * Runs `work` on a connection of its own. Unlike on the pool, a statement starts when the one before has come to its
   * end: the locks of one that failed may outlive its error.
   *
   * @throws what `work` throws, and closes the connection when that broke it; AppError `unavailable`
   */
  async onConnection<T>(work: (connection: PoolClient) => Promise<T>): Promise<T> {
    const connection = await this.pool.connect().catch((cause: Error) => {
      throw unavailable(cause);
    });
    let broken: Error | undefined;
    // What breaks the connection fails the statement too; but without a listener it would end the process.
    const markBroken = (error: Error): void => void (broken = error);
    connection.on('error', markBroken);
    try {
      return await work(connection);
    } catch (error) {
      if (breaksConnection(error)) markBroken(error as Error);
      throw error;
    } finally {
      connection.off('error', markBroken);
      connection.release(broken);
    }
  }

  // TypeORM makes it when it connects for the first time.
  private get existingPool(): Pool | undefined {
    return (this.dataSource.driver as PostgresDriver).master as Pool | undefined;
  }

  // Not for ever: another process may hold the migration lock for long.
  private async waitForConnection(): Promise<void> {
    await Promise.race([this.connecting, sleep(PATIENCE_MS, undefined, { ref: false })]);
  }

  private async executedMigrations(): Promise<string[]> {
    try {
      const { rows } = await this.reserved.query<{ name: string }>({ text: 'SELECT name FROM migrations' });
      return rows.map(({ name }) => name);
    } catch (error) {
      if ((error as { code?: string }).code === UNDEFINED_TABLE) return [];
      throw error;
    }
  }

  private async connect(): Promise<void> {
    let reported = '';
    for (let pause = RETRY_MS.first; !this.stopping.signal.aborted; pause = Math.min(pause * 2, RETRY_MS.longest)) {
      try {
        if (this.config.database.migrateOnStart) await this.migrate();
        await this.dataSource.initialize();
        this.logger.log('database connected');
        return;
      } catch (error) {
        const reason = error instanceof Error ? error.message || error.name : String(error);
        if (reason !== reported) this.report(error, reason);
        reported = reason;
        await sleep(pause, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      }
    }
  }

  // Away is a matter of time; what else goes wrong, a migration above all, is a matter for a human.
  private report(error: unknown, reason: string): void {
    if (isUnavailable(error)) this.logger.warn(`database not available, trying again: ${reason}`);
    else this.logger.error(`database cannot be used, trying again: ${reason}`);
  }

  private async migrate(): Promise<void> {
    const { url } = this.dataSource.options as PostgresDataSourceOptions;
    const migrations = new MigrationDataSource(this.config.database, this.schema, url, this.migrationLogger);
    await migrations.initialize();
    try {
      for (const { name } of await migrations.runMigrations()) this.logger.log(`migration ${name} applied`);
    } finally {
      await migrations.destroy();
    }
  }
}

function notYetAvailable(): AppError {
  return new AppError('unavailable', 'The database is not available at the moment; try again.');
}
