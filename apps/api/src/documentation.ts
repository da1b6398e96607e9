import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { Config } from '@app/platform';

/** The OpenAPI 3.1 document of every route. */
export function createDocument(app: NestFastifyApplication, version: string): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('eventdeck')
    .setDescription('A self-hosted hub for system events.')
    .setVersion(version)
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addServer('/')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'API_TOKEN, where one is set.' }, 'token');
  return SwaggerModule.createDocument(app, builder.build());
}

/** Serves the document at `/openapi.json` and Swagger UI at `/docs` and `/api/docs`. */
export function serveDocumentation(app: NestFastifyApplication, { version }: Config): void {
  const document = (): OpenAPIObject => createDocument(app, version);
  SwaggerModule.setup('docs', app, document, {
    raw: ['json'],
    jsonDocumentUrl: 'openapi.json',
    customSiteTitle: 'eventdeck API',
  });
  SwaggerModule.setup('api/docs', app, document, { raw: false, customSiteTitle: 'eventdeck API' });
}
