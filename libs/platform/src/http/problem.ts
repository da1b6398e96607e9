import { STATUS_CODES } from 'node:http';
import { ApiProperty } from '@nestjs/swagger';
import type { AppError, ErrorKind } from './app-error';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** Seconds a client is asked to wait before it tries again. */
const RETRY_AFTER_SECONDS = '1';

/** One rule that the request breaks. */
export class ProblemError {
  @ApiProperty({ description: 'What is allowed.', example: 'severity must be one of info, warning, error, critical' })
  detail: string;

  @ApiProperty({
    required: false,
    description: 'Where in the body: an RFC 6901 JSON Pointer as a URI fragment.',
    example: '#/severity',
  })
  pointer?: string;

  @ApiProperty({
    required: false,
    description: 'Which parameter of the query or the path, or which header.',
    example: 'limit',
  })
  parameter?: string;
}

/** An error answer after RFC 9457 (Problem Details for HTTP APIs). */
export class Problem {
  @ApiProperty({
    format: 'uri-reference',
    description: 'Always `about:blank`: the status says what kind of problem it is.',
    example: 'about:blank',
  })
  type: string;

  @ApiProperty({ description: 'The name of the status.', example: 'Unprocessable Entity' })
  title: string;

  @ApiProperty({ type: 'integer', minimum: 400, maximum: 599, example: 422 })
  status: number;

  @ApiProperty({
    description: 'What went wrong this time.',
    example: 'The request is not valid: limit must be an integer from 1 to 1000',
  })
  detail: string;

  @ApiProperty({ description: 'The path that was asked for.', example: '/api/events' })
  instance: string;

  @ApiProperty({
    description: 'The same as the X-Request-Id header; quote it when you report a problem.',
    example: '0f4a7c7e-2f0e-4bd7-9a57-55a5f2b9e0ab',
  })
  request_id: string;

  @ApiProperty({
    required: false,
    type: () => [ProblemError],
    description: 'Every rule that the request breaks (422).',
  })
  errors?: ProblemError[];
}

/** The HTTP status of each kind of error. */
export function statusOf(kind: ErrorKind): number {
  switch (kind) {
    case 'malformed':
      return 400;
    case 'unauthorized':
      return 401;
    case 'not_found':
      return 404;
    case 'method_not_allowed':
      return 405;
    case 'timeout':
      return 408;
    case 'conflict':
      return 409;
    case 'precondition_failed':
      return 412;
    case 'payload_too_large':
      return 413;
    case 'unsupported_media_type':
      return 415;
    case 'range_not_satisfiable':
      return 416;
    case 'expectation_failed':
      return 417;
    case 'misdirected':
      return 421;
    case 'invalid':
      return 422;
    case 'rate_limited':
      return 429;
    case 'headers_too_large':
      return 431;
    case 'internal':
      return 500;
    case 'unavailable':
      return 503;
  }
}

/** The body of an error answer. `path` is cut at its query: parameters may hold what should not be repeated. */
export function toProblem(error: AppError, path: string, requestId: string): Problem {
  const status = statusOf(error.kind);
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: error.message,
    instance: path.split('?', 1)[0] ?? path,
    request_id: requestId,
    ...(error.errors && { errors: error.errors }),
  };
}

/** The headers of an error answer. */
export function problemHeaders(error: AppError): Record<string, string> {
  const retry = error.kind === 'unavailable' || error.kind === 'rate_limited';
  return {
    'content-type': PROBLEM_MEDIA_TYPE,
    'cache-control': 'no-store',
    ...(retry && { 'retry-after': RETRY_AFTER_SECONDS }),
    ...(error.kind === 'unauthorized' && { 'www-authenticate': 'Bearer' }),
    ...error.headers,
  };
}
