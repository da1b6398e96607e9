import { EntityMetadataNotFoundError, QueryFailedError } from 'typeorm';
import { AppError } from '../http/app-error';

/** Network errors of a connection that cannot be made or was lost. */
const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** What node-postgres and TypeORM say, without a code, when there is no connection or none in time. */
const CONNECTION_MESSAGES =
  /timeout exceeded when trying to connect|connection terminated|query read timeout|client has encountered a connection error|not queryable|driver not connected|connection is closed|cannot use a pool after calling end|before initial|tls connection|server does not support ssl/i;

/** SQLSTATE classes (PostgreSQL manual, appendix A) that say that the data is at fault: 22 data exception, 23 constraint. */
const DATA_CLASSES = new Set(['22', '23']);

/**
 * Classes that say that the database cannot serve now: 08 connection, 25 read-only transaction, 28 authorization,
 * 26 unknown prepared statement, 3D unknown database, 40 rollback, 53 resources, 55 not in the required state, 57 intervention, 58 system, XX internal.
 */
const UNAVAILABLE_CLASSES = new Set(['08', '25', '26', '28', '3D', '40', '53', '55', '57', '58', 'XX']);

/** SQLSTATE of a table that is not there: the migrations have not run. */
export const UNDEFINED_TABLE = '42P01';

/** SQLSTATE of a statement that the connection has already: one that was given up while it was prepared. */
const DUPLICATE_PREPARED_STATEMENT = '42P05';

/** What the server and the client say of a statement over its limit. */
const TOO_SLOW = /due to statement timeout|query read timeout/i;

type DriverError = Error & { code?: unknown };

/** The `AppError` behind an error of the database, or `undefined` when it is none, or a mistake in our own SQL. */
export function databaseFault(error: unknown): AppError | undefined {
  if (!(error instanceof Error)) return undefined;
  const cause = error instanceof QueryFailedError ? (error as QueryFailedError<DriverError>).driverError : error;
  // TypeORM knows no entity before its first connection.
  if (error instanceof EntityMetadataNotFoundError) return unavailable(error);
  const { code } = cause as DriverError;
  if (typeof code === 'string' && isUnavailable(code)) return unavailable(cause);
  if (error instanceof QueryFailedError && typeof code === 'string' && DATA_CLASSES.has(code.slice(0, 2))) {
    return new AppError('invalid', 'The database does not accept a value of the request.', { cause });
  }
  return CONNECTION_MESSAGES.test(cause.message) ? unavailable(cause) : undefined;
}

function isUnavailable(code: string): boolean {
  const sqlState = /^[0-9A-Z]{5}$/.test(code);
  return (
    CONNECTION_CODES.has(code) ||
    code === UNDEFINED_TABLE ||
    code === DUPLICATE_PREPARED_STATEMENT ||
    (sqlState && UNAVAILABLE_CLASSES.has(code.slice(0, 2)))
  );
}

function unavailable(cause: Error): AppError {
  const state = TOO_SLOW.test(cause.message) ? 'did not answer in time' : 'is not available at the moment';
  return new AppError('unavailable', `The database ${state}; try again.`, { cause });
}
