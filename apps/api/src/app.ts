import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { configureHttp, createHttpAdapter, NestLogger, ProblemFilter, RequestPipe, type Config } from '@app/platform';
import { ApiModule } from './api.module';
import { serveDocumentation } from './documentation';

/**
 * The application as it runs, and as the tests run it; it does not listen yet.
 *
 * @throws EmbeddedPostgresError when the embedded database cannot start
 */
export async function createApp(config: Config, logger: Logger): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    ApiModule.forRoot(config),
    createHttpAdapter(config.http, logger),
    { logger: new NestLogger(logger), bodyParser: false, abortOnError: false },
  );
  return closeUnless(app, async () => {
    app.useGlobalPipes(new RequestPipe());
    app.useGlobalFilters(new ProblemFilter());
    const refuseOtherMethods = await configureHttp(app, config.http);
    await serveDocumentation(app, config);
    await app.init();
    refuseOtherMethods();
  });
}

/** Creates the application and listens; when that fails, all that was started is stopped again. */
export async function startApp(config: Config, logger: Logger): Promise<NestFastifyApplication> {
  const app = await createApp(config, logger);
  const { port, host, maxConnections } = config.http;
  // As many may wait to be accepted as may be open: Node's 511 are too few for services that all come back at once.
  return closeUnless(app, async () => void (await app.listen({ port, host, backlog: maxConnections })));
}

async function closeUnless(app: NestFastifyApplication, done: () => Promise<void>): Promise<NestFastifyApplication> {
  try {
    await done();
    return app;
  } catch (error) {
    await app.close();
    throw error;
  }
}
