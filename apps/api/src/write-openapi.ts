import 'reflect-metadata';
import { writeFileSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createHttpAdapter, createLogger, loadConfig } from '@app/platform';
import { ApiModule } from './api.module';
import { createDocument } from './openapi-document';

/**
 * Writes the OpenAPI document to the file that the first argument names, or to standard output. Nothing is started and
 * nothing connected: in Nest's preview mode no provider is made, and the environment is not read.
 */
async function main(): Promise<void> {
  const config = loadConfig({});
  const app = await NestFactory.create<NestFastifyApplication>(
    ApiModule.forRoot(config),
    createHttpAdapter(config.http, createLogger('silent', config.serviceName)),
    { preview: true, logger: false, abortOnError: false },
  );
  const text = `${JSON.stringify(createDocument(app, config.version), null, 2)}\n`;
  const [file] = process.argv.slice(2);
  if (file === undefined) process.stdout.write(text);
  else writeFileSync(file, text);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
