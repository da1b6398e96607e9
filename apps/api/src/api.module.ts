import { Module, type DynamicModule } from '@nestjs/common';
import { EventsModule } from '@app/events';
import { HealthModule } from '@app/health';
import { LifecycleModule } from '@app/lifecycle';
import { ConfigModule, DatabaseModule, type Config } from '@app/platform';
import { schema } from '../../../ormconfig';
import { RootController } from './root.controller';

/** The HTTP process: every feature, wired. */
@Module({})
export class ApiModule {
  static forRoot(config: Config): DynamicModule {
    return {
      module: ApiModule,
      imports: [
        ConfigModule.forRoot(config),
        DatabaseModule.forRoot(schema),
        EventsModule,
        LifecycleModule,
        HealthModule,
      ],
      controllers: [RootController],
    };
  }
}
