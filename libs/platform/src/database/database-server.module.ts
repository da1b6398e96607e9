import { Inject, Injectable, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Config } from '../config/config';
import { CONFIG } from '../config/config.module';
import { DatabaseIdentity } from './database-identity';
import { EmbeddedPostgres } from '../embedded-postgres/embedded-postgres';

/** The PostgreSQL server behind the process: the one of `DATABASE_URL`, or the embedded one, started and stopped here. */
@Injectable()
export class DatabaseServer implements OnApplicationShutdown {
  private readonly logger = new Logger(DatabaseServer.name);
  private embedded: EmbeddedPostgres | undefined;

  constructor(@Inject(CONFIG) private readonly config: Config) {}

  /** `true` when this process runs its own PostgreSQL and nobody else uses it. */
  get isEmbedded(): boolean {
    return this.config.database.url === undefined;
  }

  /** @throws EmbeddedPostgresError when the embedded server cannot start */
  async start(): Promise<string> {
    const { url, dataDir } = this.config.database;
    if (url !== undefined) return url;
    this.embedded = await EmbeddedPostgres.start({ dataDir, log: (message) => this.logger.log(message) });
    return this.embedded.url;
  }

  /** Where the data is, for whoever starts the service; without any part of `DATABASE_URL`. */
  describe(): string {
    return this.embedded ? `embedded PostgreSQL in ${this.embedded.dataDir}` : 'PostgreSQL of DATABASE_URL';
  }

  async onApplicationShutdown(): Promise<void> {
    await this.embedded?.stop();
  }
}

/** Imported by TypeORM's module, so that Nest, which shuts down importers first, stops the server after the pool. */
@Module({ providers: [DatabaseServer, DatabaseIdentity], exports: [DatabaseServer, DatabaseIdentity] })
export class DatabaseServerModule {}
