import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiResponse, ApiSchema, ApiTags } from '@nestjs/swagger';
import { CONFIG, type Config } from '@app/platform';

/** What this service is and where its parts are. */
@ApiSchema({ name: 'ServiceIndex' })
export class ServiceIndex {
  @ApiProperty({ description: 'The name of this instance: `SERVICE_NAME`.', example: 'eventdeck' })
  name: string;

  @ApiProperty({ description: 'The version of the software.', example: '0.1.0' })
  version: string;

  @ApiProperty({ description: 'The path of the events API.', example: '/api/events' })
  events: string;

  @ApiProperty({ description: 'The path of the health report.', example: '/health' })
  health: string;

  @ApiProperty({ description: 'The path of Swagger UI.', example: '/docs' })
  docs: string;

  @ApiProperty({ description: 'The path of ReDoc.', example: '/redoc' })
  redoc: string;

  @ApiProperty({ description: 'The path of this OpenAPI document.', example: '/openapi.json' })
  openapi: string;
}

/** The front page. */
@ApiTags('service')
@Controller()
export class RootController {
  constructor(@Inject(CONFIG) private readonly config: Config) {}

  @Get()
  @ApiOperation({ operationId: 'getServiceIndex', summary: 'Name, version, and where things are' })
  @ApiResponse({ status: 200, description: 'Where things are.', type: ServiceIndex })
  index(): ServiceIndex {
    const { serviceName: name, version } = this.config;
    return {
      name,
      version,
      events: '/api/events',
      health: '/health',
      docs: '/docs',
      redoc: '/redoc',
      openapi: '/openapi.json',
    };
  }
}
