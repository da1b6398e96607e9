import { types } from 'node:util';
import { DatabaseError } from 'pg';
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
 * 3D unknown database, 40 rollback, 53 resources, 55 not in the required state, 57 intervention, 58 system, XX internal.
 */
const UNAVAILABLE_CLASSES = new Set(['08', '25', '28', '3D', '40', '53', '55', '57', '58', 'XX']);

/** SQLSTATE of a table that is not there: the migrations have not run. */
export const UNDEFINED_TABLE = '42P01';

/** What the server and the client say of a statement over its limit. */
const TOO_SLOW = /due to statement timeout|query read timeout/i;

/** The `AppError` behind an error of the database, or `undefined` when it is none, or a mistake in our own SQL. */
export function databaseFault(error: unknown): AppError | undefined {
  // Not `instanceof`: an error of Node's own comes from another realm where the service runs inside `node:vm`.
  if (!types.isNativeError(error)) return undefined;
  // TypeORM knows no entity before its first connection.
  if (error instanceof EntityMetadataNotFoundError) return unavailable(error);
  const isStatement = error instanceof QueryFailedError;
  const cause = isStatement ? (error as QueryFailedError).driverError : error;
  if (cause instanceof DatabaseError) return serverFault(cause, isStatement);
  // Where it was not the server that refused a statement, the connection failed under it.
  return isStatement || isOfConnection(cause) ? unavailable(cause) : undefined;
}

function serverFault(cause: DatabaseError, isStatement: boolean): AppError | undefined {
  const { code = '' } = cause;
  const sqlClass = code.slice(0, 2);
  if (code === UNDEFINED_TABLE || UNAVAILABLE_CLASSES.has(sqlClass)) return unavailable(cause);
  return isStatement && DATA_CLASSES.has(sqlClass)
    ? new AppError('invalid', 'The database does not accept a value of the request.', { cause })
    : undefined;
}

function isOfConnection(error: Error & { code?: unknown }): boolean {
  return CONNECTION_CODES.has(String(error.code)) || CONNECTION_MESSAGES.test(error.message);
}

/** Whether the database could not be reached, or not serve; of an error of its own, or the `AppError` made of one. */
export function isUnavailable(error: unknown): boolean {
  const fault = databaseFault(error) ?? error;
  return fault instanceof AppError && fault.kind === 'unavailable';
}

/** Classes of SQLSTATE after which a connection is of no use: it is gone, or leads to a server that only reads. */
const END_OF_CONNECTION = /^(?:08|25|57P)/;

/** Whether the connection that an error came from is of no use any more: it is lost, or a statement may still run on it. */
export function breaksConnection(error: unknown): boolean {
  if (!isUnavailable(error)) return false;
  const cause = innermost(error);
  return !(cause instanceof DatabaseError) || END_OF_CONNECTION.test(cause.code ?? '');
}

function innermost(error: unknown): unknown {
  if (error instanceof AppError) return innermost(error.cause);
  return error instanceof QueryFailedError ? (error as QueryFailedError).driverError : error;
}

/** SQLSTATE of a lock that was not there in time, `lock_not_available`. */
const LOCK_TIMEOUT = '55P03';

/** The `AppError` of a database that cannot be reached, or does not answer in time. */
export function unavailable(cause: Error & { code?: unknown }): AppError {
  if (cause.code === LOCK_TIMEOUT) {
    return new AppError('unavailable', 'Another change that takes long locks what this one needs; try again.', {
      cause,
    });
  }
  const state = TOO_SLOW.test(cause.message) ? 'did not answer in time' : 'is not available at the moment';
  return new AppError('unavailable', `The database ${state}; try again.`, { cause });
}
