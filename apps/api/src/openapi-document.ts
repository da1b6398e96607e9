import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { completeDocument, Problem } from '@app/platform';

const DESCRIPTION = `A self-hosted hub for system events: deployments, health checks, errors, starts and stops of all your services.

**Errors** are \`application/problem+json\` (RFC 9457); \`errors\` names every rule that a request breaks. Only the health
report answers 503 in a shape of its own. A path that is not listed here is 404, another method on a listed one 405 with
\`Allow\`, and what is no HTTP at all 400, 408 or 431, all as problems too.

**Authentication.** Where the service has an \`API_TOKEN\`, send it as \`Authorization: Bearer <token>\`; the front page,
this documentation and the probes are open. Without one, a request for a host other than \`localhost\`, an address or a
name of \`ALLOWED_HOSTS\` is 421: a page in a browser could else reach the service under a name of its own.

**Requests.** Every answer has \`X-Request-Id\`: your own, if you sent one of at most 128 plain characters. Where a rate
limit is set, answers tell it in \`X-RateLimit-Limit\`, \`X-RateLimit-Remaining\` and \`X-RateLimit-Reset\` (seconds). HEAD
works wherever GET does. A trailing slash is ignored.

**Concurrency.** The \`ETag\` of an event goes into \`If-None-Match\` to read it only when it changed, and into \`If-Match\`
to change or delete it only when it did not.`;

/** The OpenAPI 3.1 document of every route of `app`, which need not be initialised. */
export function createDocument(app: NestFastifyApplication, version: string): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('eventdeck')
    .setDescription(DESCRIPTION)
    .setVersion(version)
    .setLicense('MIT', 'https://opensource.org/license/mit')
    // Relative to the document, so that it is right below a path prefix too.
    .addServer('.', 'The service that this document comes from.')
    .addTag('events', 'Store, find, change and count events.')
    .addTag('health', 'Probes for machines, reports for people.')
    .addTag('service', 'Where things are.')
    .addSecurity('token', { type: 'http', scheme: 'bearer', description: 'The `API_TOKEN`, where one is set.' })
    // Either nothing or the token: the document cannot know whether one is set.
    .addSecurityRequirements({})
    .addSecurityRequirements('token');
  return completeDocument(SwaggerModule.createDocument(app, builder.build(), { extraModels: [Problem] }));
}
