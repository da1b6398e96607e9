import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';

/** The answer of a probe that only the process itself can fail. */
@ApiSchema({ name: 'Liveness' })
export class LivenessDto {
  @ApiProperty({ enum: ['ok'], example: 'ok' })
  status: 'ok';
}

/** One check of a health report. */
@ApiSchema({ name: 'HealthCheck' })
export class HealthCheckDto {
  @ApiProperty({ enum: ['up', 'down', 'degraded'], example: 'up' })
  status: 'up' | 'down' | 'degraded';

  @ApiPropertyOptional({ example: 'PostgreSQL does not answer' })
  message?: string;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, description: 'Milliseconds that the check took.', example: 2 })
  responseTime?: number;

  @ApiPropertyOptional({ description: 'Redis only: whether it is configured.', example: true })
  configured?: boolean;

  @ApiPropertyOptional({ description: 'Redis only: what the cache makes of it.', example: 'connected' })
  cache?: string;
}

const CHECKS = { type: 'object', additionalProperties: { $ref: '#/components/schemas/HealthCheck' } } as const;
const UP = { postgres: { status: 'up', responseTime: 1 }, migrations: { status: 'up', responseTime: 1 } };

/** A health report in the shape of Terminus. */
@ApiSchema({ name: 'HealthReport' })
export class HealthReportDto {
  @ApiProperty({ enum: ['ok', 'degraded', 'error', 'shutting_down'], example: 'ok' })
  status: 'ok' | 'degraded' | 'error' | 'shutting_down';

  @ApiProperty({ ...CHECKS, description: 'The checks that passed.', example: UP })
  info: Record<string, HealthCheckDto>;

  @ApiProperty({ ...CHECKS, description: 'The checks that failed.', example: {} })
  error: Record<string, HealthCheckDto>;

  @ApiProperty({ ...CHECKS, description: 'All checks.', example: UP })
  details: Record<string, HealthCheckDto>;
}

/** The short answer that clients of the earlier backend know. */
@ApiSchema({ name: 'ServiceHealth' })
export class ServiceHealthDto {
  @ApiProperty({ enum: ['healthy'], example: 'healthy' })
  status: 'healthy';

  @ApiProperty({ enum: ['embedded', 'external'], description: 'Which PostgreSQL serves.', example: 'embedded' })
  mode: 'embedded' | 'external';

  @ApiProperty({ type: 'number', description: 'Seconds since 1970, with a fraction.', example: 1769851800.123 })
  timestamp: number;

  @ApiProperty({ example: '0.1.0' })
  version: string;
}

/** The connections to PostgreSQL. */
@ApiSchema({ name: 'PostgresHealth' })
export class PostgresHealthDto {
  @ApiProperty({ example: true })
  connected: boolean;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Connections that are open.', example: 4 })
  pool_size: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Open connections that are not in use.', example: 3 })
  pool_free: number;
}

/** The connection to Redis. */
@ApiSchema({ name: 'RedisHealth' })
export class RedisHealthDto {
  @ApiProperty({ example: true })
  connected: boolean;

  @ApiPropertyOptional({
    enum: [false],
    description: 'Only there, and false, when Redis is not configured.',
    example: false,
  })
  configured?: false;
}

/** The health of the databases, as clients of the earlier backend know it. */
@ApiSchema({ name: 'DatabaseHealth' })
export class DatabaseHealthDto {
  @ApiProperty({ enum: ['healthy', 'degraded'], example: 'healthy' })
  status: 'healthy' | 'degraded';

  @ApiProperty({ type: () => PostgresHealthDto })
  postgres: PostgresHealthDto;

  @ApiProperty({ type: () => RedisHealthDto })
  redis: RedisHealthDto;

  @ApiProperty({ type: 'number', description: 'Seconds since 1970, with a fraction.', example: 1769851800.123 })
  timestamp: number;
}
