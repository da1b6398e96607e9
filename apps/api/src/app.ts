import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import {
  configureHttp,
  createHttpAdapter,
  JsonTextInterceptor,
  NestLogger,
  ProblemFilter,
  RequestPipe,
  type Config,
} from '@app/platform';
import { ApiModule } from './api.module';
import { serveDocumentation } from './documentation';

/** The application as it runs, and as the tests run it; it does not listen yet. */
export async function createApp(config: Config, logger: Logger): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    ApiModule.forRoot(config),
    createHttpAdapter(config.http, logger),
    { logger: new NestLogger(logger), bodyParser: false, abortOnError: false },
  );
  app.useGlobalPipes(new RequestPipe());
  app.useGlobalFilters(new ProblemFilter());
  app.useGlobalInterceptors(new JsonTextInterceptor());
  const refuseOtherMethods = await configureHttp(app, config.http);
  serveDocumentation(app, config);
  await app.init();
  refuseOtherMethods();
  return app;
}
