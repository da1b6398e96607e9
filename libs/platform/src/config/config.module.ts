import { Module, type DynamicModule } from '@nestjs/common';
import type { Config } from './config';

/** Injection token of the validated `Config`. */
export const CONFIG = Symbol('CONFIG');

/** Makes the configuration injectable everywhere. */
@Module({})
export class ConfigModule {
  static forRoot(config: Config): DynamicModule {
    const provider = { provide: CONFIG, useValue: config };
    return { module: ConfigModule, global: true, providers: [provider], exports: [provider] };
  }
}
