import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { databaseFault } from '../database/database-fault';
import { AppError, type ErrorKind } from './app-error';
import { problemHeaders, statusOf, toProblem } from './problem';

/** The one error mapper: whatever was thrown leaves as problem+json; only Terminus's own 503 bodies pass through. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  catch(exception: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    if (isHealthReport(exception)) {
      void reply.code(exception.getStatus()).send(exception.getResponse());
      return;
    }
    sendProblem(toAppError(exception), request, reply);
  }
}

/** Sends an error answer and logs what a human should see: each 500 with its cause, the reason for 503 once. */
export function sendProblem(error: AppError, request: FastifyRequest, reply: FastifyReply): void {
  if (error.kind === 'internal') request.log.error({ err: error.cause ?? error }, 'unexpected error');
  else request.log.debug({ err: error }, error.message);
  if (error.kind === 'unavailable') request.server.unavailableLog.note(error);
  const problem = toProblem(error, request.originalUrl, request.id);
  // Fastify closes after any body that was refused, also under a client that still sends.
  void reply.removeHeader('connection');
  void reply.code(statusOf(error.kind)).headers(problemHeaders(error)).send(JSON.stringify(problem));
}

/** The `AppError` that stands for anything thrown; never repeats a foreign message to the client. */
export function toAppError(exception: unknown): AppError {
  if (exception instanceof AppError) return exception;
  const fault = databaseFault(exception);
  if (fault) return fault;
  const status = statusOfForeign(exception);
  return status === undefined
    ? new AppError('internal', 'Something went wrong here; the log has more.', { cause: exception })
    : new AppError(...describeStatus(status), { cause: exception, headers: headersOfForeign(exception) });
}

function isHealthReport(exception: unknown): exception is HttpException {
  if (!(exception instanceof HttpException) || exception.getStatus() !== 503) return false;
  const body = exception.getResponse();
  return typeof body === 'object' && 'status' in body && 'details' in body;
}

// Fastify's errors and Nest's HttpException both tell their status.
function statusOfForeign(exception: unknown): number | undefined {
  if (exception instanceof HttpException) return exception.getStatus();
  const { statusCode } = exception instanceof Error ? (exception as Error & { statusCode?: unknown }) : {};
  return typeof statusCode === 'number' ? statusCode : undefined;
}

// Where a file ends, of whom asks for what lies beyond (RFC 9110, section 15.5.17).
function headersOfForeign(exception: unknown): Record<string, string> {
  const { headers } = exception as { headers?: Record<string, unknown> };
  const range = headers?.['Content-Range'];
  return typeof range === 'string' ? { 'content-range': range } : {};
}

function describeStatus(status: number): [ErrorKind, string] {
  switch (status) {
    case 400:
      return ['malformed', 'The request cannot be read.'];
    case 404:
      return ['not_found', 'There is nothing at this path.'];
    case 412:
      return ['precondition_failed', 'It is not, or no longer, what the conditions of the request ask for.'];
    case 413:
      return ['payload_too_large', 'The request body is too large.'];
    case 415:
      return ['unsupported_media_type', 'Send the request body with Content-Type: application/json.'];
    case 416:
      return ['range_not_satisfiable', 'The range of the request lies beyond the end.'];
    case 503:
      return ['unavailable', 'The service is not available at the moment; try again.'];
    default:
      return status < 500
        ? ['malformed', 'The request cannot be read.']
        : ['internal', 'Something went wrong here; the log has more.'];
  }
}
