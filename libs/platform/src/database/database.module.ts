import { Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { Config } from '../config/config';
import { CONFIG } from '../config/config.module';
import { DatabaseIdentity } from './database-identity';
import { requestOptions, type Schema } from './data-source';
import { DatabaseServer, DatabaseServerModule } from './database-server.module';
import { DatabaseService, SCHEMA } from './database.service';

/** TypeORM over a PostgreSQL that may be away when the process starts; see `DatabaseService`. */
@Module({})
export class DatabaseModule {
  static forRoot(schema: Schema): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      imports: [
        DatabaseServerModule,
        TypeOrmModule.forRootAsync({
          imports: [DatabaseServerModule],
          inject: [CONFIG, DatabaseServer, DatabaseIdentity],
          useFactory: async (config: Config, server: DatabaseServer, identity: DatabaseIdentity) => ({
            ...requestOptions(config.database, await server.start(), schema, identity),
            manualInitialization: true,
          }),
        }),
      ],
      providers: [{ provide: SCHEMA, useValue: schema }, DatabaseService],
      exports: [DatabaseService, DatabaseServerModule],
    };
  }
}
