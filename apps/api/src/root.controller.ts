import { Controller, Get, Inject } from '@nestjs/common';
import { ApiOperation, ApiProperty, ApiResponse, ApiSchema, ApiTags } from '@nestjs/swagger';
import { ApiProblems, CONFIG, type Config } from '@app/platform';

/** What this service is and where its parts are. */
@ApiSchema({ name: 'ServiceIndex' })
export class ServiceIndex {
  @ApiProperty({ example: 'eventdeck' })
  name: string;

  @ApiProperty({ example: '0.1.0' })
  version: string;

  @ApiProperty({ example: '/api/events' })
  events: string;

  @ApiProperty({ example: '/health' })
  health: string;

  @ApiProperty({ example: '/docs' })
  docs: string;

  @ApiProperty({ example: '/redoc' })
  redoc: string;

  @ApiProperty({ example: '/openapi.json' })
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
  @ApiProblems()
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
