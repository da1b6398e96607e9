import { Controller, Get, Header } from '@nestjs/common';
import { ApiExtraModels, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { HealthCheckResult } from '@nestjs/terminus';
import { DatabaseHealthDto, HealthCheckDto, HealthReportDto, LivenessDto, ServiceHealthDto } from './health.dto';
import { HealthService } from './health.service';

const NO_ANSWER = { status: 'down', message: 'PostgreSQL does not answer', responseTime: 2000 };
const DOWN = { postgres: NO_ANSWER, migrations: NO_ANSWER };
const MIGRATIONS_PENDING = {
  migrations: { status: 'down', message: '1 migrations are still to run: npm run migration:run', responseTime: 2 },
};
const POSTGRES_UP = { postgres: { status: 'up', responseTime: 1 } };
const REDIS_UP = { redis: { status: 'up', responseTime: 1 } };

/** The probes, and the paths that clients of the earlier backend ask. */
@ApiTags('health')
@ApiExtraModels(HealthCheckDto)
@Controller()
export class HealthController {
  constructor(private readonly health: HealthService) {}

  @Get('health')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getHealth', summary: 'Check every dependency' })
  @ApiResponse({ status: 200, description: 'Everything answers; Redis may be degraded.', type: HealthReportDto })
  @ApiResponse({
    status: 503,
    description: 'A dependency that is needed is down.',
    type: HealthReportDto,
    example: { status: 'error', info: REDIS_UP, error: DOWN, details: { ...REDIS_UP, ...DOWN } },
  })
  report(): Promise<HealthCheckResult> {
    return this.health.report();
  }

  @Get('health/live')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getLiveness', summary: 'Tell that the process lives' })
  @ApiResponse({ status: 200, description: 'The process answers.', type: LivenessDto })
  live(): LivenessDto {
    return { status: 'ok' };
  }

  @Get('health/ready')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getReadiness', summary: 'Tell whether requests can be served' })
  @ApiResponse({ status: 200, description: 'Requests can be served.', type: HealthReportDto })
  @ApiResponse({
    status: 503,
    description: 'Not now: no database, migrations to run, or a shutdown.',
    type: HealthReportDto,
    example: {
      status: 'error',
      info: POSTGRES_UP,
      error: MIGRATIONS_PENDING,
      details: { ...POSTGRES_UP, ...MIGRATIONS_PENDING },
    },
  })
  ready(): Promise<HealthCheckResult> {
    return this.health.readiness();
  }

  @Get('api/health')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getServiceHealth', summary: 'Tell that the service answers' })
  @ApiResponse({ status: 200, description: 'The service answers.', type: ServiceHealthDto })
  summary(): ServiceHealthDto {
    return this.health.summary();
  }

  @Get('api/health/database')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getDatabaseHealth', summary: 'Tell how the databases are' })
  @ApiResponse({ status: 200, description: 'How they are, also when they are away.', type: DatabaseHealthDto })
  databases(): Promise<DatabaseHealthDto> {
    return this.health.databases();
  }

  @Get('api/db/health')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getDbHealth', summary: 'The same as /api/health/database' })
  @ApiResponse({ status: 200, description: 'How they are, also when they are away.', type: DatabaseHealthDto })
  dbHealth(): Promise<DatabaseHealthDto> {
    return this.health.databases();
  }
}
