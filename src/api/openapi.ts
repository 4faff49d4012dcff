/** The OpenAPI document of the controllers, and Swagger UI to try it. */
import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { strictened } from './openapi-schemas.js';
import { ProblemDto } from './openapi-decorators.js';

const DESCRIPTION = `Policy and traffic splits for a service mesh, and the proof that its sidecars obey.

Every write makes a **revision** and answers with its number; with \`?wait=100%\` it answers when every proxy serves it.
Every refusal is a problem document (RFC 9457) with all that is wrong at once. So is the answer to what is not read as far
as its operation: 404 where there is none, 400 for what is no HTTP, 408 for what does not arrive in time, 431 for a path with
its query and headers of more than 16 KiB.

No field may be null: what has no value is left out. What is read may be sent back as it is; fields that are read-only are
ignored then.

To try it here, press *Authorize* and paste the token from the file \`admin.token\` in the data directory of the server.`;

export function openApiDocument(app: INestApplication, trustDomain: string): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Sluice')
    .setDescription(DESCRIPTION)
    .setVersion('1')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'A token of this API.' }, 'token')
    .addSecurityRequirements('token')
    .addTag('Services', 'Names that workloads are called by.')
    .addTag('Workloads', 'Running programs: where they are, who they are, how they fare.')
    .addTag('Traffic splits', 'How the calls to a service are shared between versions.')
    .addTag('Authorization policies', 'Who may call whom.')
    .addTag('Mesh settings', 'What holds where no policy says otherwise.')
    .addTag('Change sets', 'Many changes as one.')
    .addTag('Revisions', 'What was changed, and who serves it.')
    .addTag('Proxies', 'The sidecars.')
    .addTag('Tokens', 'Ways in: for clients of this API, and for sidecars.')
    .addTag('Health', 'How the server itself fares.')
    .build();
  const document = SwaggerModule.createDocument(app, config, { extraModels: [ProblemDto], autoTagControllers: false });
  return strictened(document, trustDomain);
}

/** Serves the document at /openapi.json and Swagger UI at /docs. */
export function serveOpenApi(app: INestApplication, trustDomain: string): void {
  SwaggerModule.setup('docs', app, () => openApiDocument(app, trustDomain), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: 'Sluice API',
    swaggerOptions: { persistAuthorization: false, displayRequestDuration: true, docExpansion: 'list' },
  });
}
