import { Controller, Get, Header } from '@nestjs/common';
import { ApiExtraModels, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { HealthCheckResult } from '@nestjs/terminus';
import { ApiProblems } from '@app/platform';
import { DatabaseHealthDto, HealthCheckDto, HealthReportDto, LivenessDto, ServiceHealthDto } from './health.dto';
import { HealthService } from './health.service';

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
  @ApiResponse({ status: 503, description: 'A dependency that is needed is down.', type: HealthReportDto })
  @ApiProblems()
  report(): Promise<HealthCheckResult> {
    return this.health.report();
  }

  @Get('health/live')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getLiveness', summary: 'Tell that the process lives' })
  @ApiResponse({ status: 200, description: 'The process answers.', type: LivenessDto })
  @ApiProblems()
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
  })
  @ApiProblems()
  ready(): Promise<HealthCheckResult> {
    return this.health.readiness();
  }

  @Get('api/health')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getServiceHealth', summary: 'Tell that the service answers' })
  @ApiResponse({ status: 200, description: 'The service answers.', type: ServiceHealthDto })
  @ApiProblems()
  summary(): ServiceHealthDto {
    return this.health.summary();
  }

  @Get('api/health/database')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getDatabaseHealth', summary: 'Tell how the databases are' })
  @ApiResponse({ status: 200, description: 'How they are, also when they are away.', type: DatabaseHealthDto })
  @ApiProblems()
  databases(): Promise<DatabaseHealthDto> {
    return this.health.databases();
  }

  @Get('api/db/health')
  @Header('Cache-Control', 'no-store')
  @ApiOperation({ operationId: 'getDbHealth', summary: 'The same as /api/health/database' })
  @ApiResponse({ status: 200, description: 'How they are, also when they are away.', type: DatabaseHealthDto })
  @ApiProblems()
  dbHealth(): Promise<DatabaseHealthDto> {
    return this.health.databases();
  }
}
