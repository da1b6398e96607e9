export { CacheModule } from './cache/cache.module';
export { CacheService } from './cache/cache.service';
export { SharedLoads } from './cache/shared-loads';
export { ConfigError, loadConfig, loadProcessConfig, variables, type Config } from './config/config';
export { CONFIG, ConfigModule } from './config/config.module';
export { MigrationDataSource, type Schema } from './database/data-source';
export { databaseFault } from './database/database-fault';
export type { ConnectionQuota } from './database/connection-quota';
export { DatabaseModule } from './database/database.module';
export { DatabaseServer } from './database/database-server.module';
export { DatabaseService } from './database/database.service';
export { execute, Statement, type Connection } from './database/statement';
export { inTransaction } from './database/transaction';
export { EmbeddedPostgres, EmbeddedPostgresError } from './embedded-postgres/embedded-postgres';
export { AppError, invalid, MAX_ERRORS, type FieldError } from './http/app-error';
export { BackgroundTask } from './background/background-task';
export { giveTurn } from './background/turns';
export { isNotModified, preconditionHolds } from './http/entity-tag';
export { configureHttp } from './http/http';
export { GrowingBuffer } from './http/growing-buffer';
export { createHttpAdapter } from './http/http-adapter';
export { IDEMPOTENCY_KEY_HEADER, IdempotencyKeyHeader, type IdempotencyKey } from './http/idempotency-key';
export { NoIdempotencyKey } from './http/no-idempotency-key';
export { NoQuery } from './http/no-query';
export { ApiProblems } from './http/api-problems';
export { completeDocument } from './http/complete-document';
export { Problem, ProblemError, statusOf } from './http/problem';
export { ProblemFilter } from './http/problem.filter';
export {
  checkTree,
  costOfValues,
  decodeUtf8,
  escapePointer,
  parseJson,
  parseJsonBody,
  shorten,
} from './http/json-body';
export { JsonText, varyByEncoding } from './http/json-text';
export { QueryBoolean, QueryEnum, QueryGroup, QueryInteger, QueryList, QueryText } from './http/query-parameters';
export {
  BufferedBody,
  RequestContent,
  StreamedAnswer,
  StreamedBody,
  type BufferedContent,
  type StreamedContent,
} from './http/request-body';
export { RequestPipe, toBody } from './http/request-pipe';
export { checkText, rule, Text } from './http/validation';
export { createLogger, NestLogger } from './logging/logger';
