import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';

/** The answer of a probe that only the process itself can fail. */
@ApiSchema({ name: 'Liveness' })
export class LivenessDto {
  @ApiProperty({
    enum: ['ok'],
    description: 'Always `ok`: a process that does not live does not answer.',
    example: 'ok',
  })
  status: 'ok';
}

/** One check of a health report. */
@ApiSchema({ name: 'HealthCheck' })
export class HealthCheckDto {
  @ApiProperty({
    enum: ['up', 'down', 'degraded'],
    description: 'What the check found; `degraded` does not fail the report.',
    example: 'up',
  })
  status: 'up' | 'down' | 'degraded';

  @ApiPropertyOptional({ description: 'What is wrong.', example: 'PostgreSQL does not answer' })
  message?: string;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, description: 'Milliseconds that the check took.', example: 2 })
  responseTime?: number;

  @ApiPropertyOptional({ enum: [false], description: 'Only there, and false, when Redis is not configured.' })
  configured?: false;
}

const CHECKS = { type: 'object', additionalProperties: { $ref: '#/components/schemas/HealthCheck' } } as const;
const UP = {
  postgres: { status: 'up', responseTime: 1 },
  migrations: { status: 'up', responseTime: 1 },
  redis: { status: 'up', responseTime: 1 },
};

/** A health report in the shape of Terminus. */
@ApiSchema({ name: 'HealthReport' })
export class HealthReportDto {
  @ApiProperty({
    enum: ['ok', 'degraded', 'error', 'shutting_down'],
    description: 'All checks in one word; 200 with the first two, 503 with the others.',
    example: 'ok',
  })
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
  @ApiProperty({ enum: ['healthy'], description: 'Always `healthy`: the service answers.', example: 'healthy' })
  status: 'healthy';

  @ApiProperty({ enum: ['embedded', 'external'], description: 'Which PostgreSQL serves.', example: 'embedded' })
  mode: 'embedded' | 'external';

  @ApiProperty({ type: 'number', description: 'Seconds since 1970, with a fraction.', example: 1769851800.123 })
  timestamp: number;

  @ApiProperty({ description: 'The version of the software.', example: '0.1.0' })
  version: string;
}

/** The connections to PostgreSQL. */
@ApiSchema({ name: 'PostgresHealth' })
export class PostgresHealthDto {
  @ApiProperty({ description: 'Whether PostgreSQL answers.', example: true })
  connected: boolean;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Connections that are open.', example: 4 })
  pool_size: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Open connections that are not in use.', example: 3 })
  pool_free: number;
}

/** The connection to Redis. */
@ApiSchema({ name: 'RedisHealth' })
export class RedisHealthDto {
  @ApiProperty({ description: 'Whether Redis answers.', example: true })
  connected: boolean;

  @ApiPropertyOptional({
    enum: [false],
    description: 'Only there, and false, when Redis is not configured.',
  })
  configured?: false;
}

/** The health of the databases, as clients of the earlier backend know it. */
@ApiSchema({ name: 'DatabaseHealth' })
export class DatabaseHealthDto {
  @ApiProperty({
    enum: ['healthy', 'degraded'],
    description: '`degraded` when PostgreSQL does not answer, or Redis, where it is configured.',
    example: 'healthy',
  })
  status: 'healthy' | 'degraded';

  @ApiProperty({ type: () => PostgresHealthDto })
  postgres: PostgresHealthDto;

  @ApiProperty({ type: () => RedisHealthDto })
  redis: RedisHealthDto;

  @ApiProperty({ type: 'number', description: 'Seconds since 1970, with a fraction.', example: 1769851800.123 })
  timestamp: number;
}
