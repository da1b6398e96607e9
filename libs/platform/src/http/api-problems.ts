import { applyDecorators } from '@nestjs/common';
import { ApiResponse, type HeaderObject, type ResponseObject } from '@nestjs/swagger';
import { STATUS_CODES } from 'node:http';
import { AppError, invalid, type ErrorKind } from './app-error';
import { MAX_BODY_BYTES } from './http-adapter';
import { PROBLEM_MEDIA_TYPE, problemHeaders, statusOf, toProblem } from './problem';

/** The request id in every example. */
const EXAMPLE_REQUEST_ID = '0f4a7c7e-2f0e-4bd7-9a57-55a5f2b9e0ab';

/** When an operation answers with an error of a kind, and what the service says then. */
interface KindDocumentation {
  description: string;
  example: AppError;
}

const KINDS: Partial<Record<ErrorKind, KindDocumentation>> = {
  malformed: {
    description:
      'The request cannot be read: its body is no JSON, no UTF-8 or holds a lone surrogate, or its path or query is not percent-encoded well.',
    example: new AppError('malformed', 'The request body is not valid JSON.'),
  },
  unauthorized: {
    description: 'The service wants a token and the request has none, or another.',
    example: new AppError('unauthorized', 'Send the API token as Authorization: Bearer <token>.'),
  },
  not_found: {
    description: 'There is no such thing.',
    example: new AppError('not_found', 'There is nothing at this path.'),
  },
  conflict: {
    description: 'A request with the same `Idempotency-Key` is still under way.',
    example: new AppError('conflict', 'A request with this Idempotency-Key is still under way; try again.'),
  },
  precondition_failed: {
    description: 'It no longer has the entity tag of `If-Match`.',
    example: new AppError('precondition_failed', 'It was changed meanwhile; read it again.'),
  },
  payload_too_large: {
    description: 'The body is larger than the operation reads.',
    example: new AppError('payload_too_large', `The request body is larger than ${MAX_BODY_BYTES / 1024 ** 2} MiB.`),
  },
  unsupported_media_type: {
    description: 'The body is of a type that the operation does not read, not in UTF-8, or compressed.',
    example: new AppError('unsupported_media_type', 'Send the request body with Content-Type: application/json.'),
  },
  invalid: {
    description: 'The request is understood but not allowed; `errors` lists every rule that it breaks.',
    example: invalid([{ detail: 'limit must be an integer from 1 to 1000', parameter: 'limit' }]),
  },
  rate_limited: {
    description: 'Too many requests from this address.',
    example: new AppError('rate_limited', 'More than 600 requests a minute from one address.', {
      headers: { 'retry-after': '17' },
    }),
  },
  internal: {
    description: 'A fault of the service; its log has more under the same request id.',
    example: new AppError('internal', 'Something went wrong here; the log has more.'),
  },
  unavailable: {
    description: 'The database is away, or too much is waiting already.',
    example: new AppError('unavailable', 'The database is not available at the moment; try again.'),
  },
};

/** Headers of an error answer that callers act on. */
const HEADERS: Record<string, { name: string; description: string; type: 'string' | 'integer' }> = {
  'retry-after': { name: 'Retry-After', description: 'Seconds to wait before the next try.', type: 'integer' },
  'www-authenticate': { name: 'WWW-Authenticate', description: 'How to authenticate.', type: 'string' },
};

/**
 * Documents the error answers that are an operation's own: their kinds, or errors as the operation throws them, which
 * become the examples. What any operation may answer (401, 429, 500) `completeDocument` adds.
 */
export function ApiProblems(...problems: (ErrorKind | AppError)[]): MethodDecorator {
  return applyDecorators(
    ...problems.map((problem) => {
      const kind = typeof problem === 'string' ? problem : problem.kind;
      return ApiResponse({ status: statusOf(kind), ...problemResponse(problem) });
    }),
  );
}

/** The answer for a kind of error, or for one error; its example is for no path yet, `completeDocument` fills it in. */
export function problemResponse(problem: ErrorKind | AppError): ResponseObject {
  const kind = typeof problem === 'string' ? problem : problem.kind;
  const { description, example } = KINDS[kind] ?? undocumented(kind);
  const error = typeof problem === 'string' ? example : problem;
  return {
    description,
    ...exampleHeaders(error),
    content: {
      [PROBLEM_MEDIA_TYPE]: {
        schema: { $ref: '#/components/schemas/Problem' },
        example: toProblem(error, '', EXAMPLE_REQUEST_ID),
      },
    },
  };
}

function undocumented(kind: ErrorKind): KindDocumentation {
  const title = STATUS_CODES[statusOf(kind)] ?? 'Error';
  return { description: title, example: new AppError(kind, title) };
}

function exampleHeaders(error: AppError): Pick<ResponseObject, 'headers'> {
  const headers: Record<string, HeaderObject> = {};
  for (const [key, value] of Object.entries(problemHeaders(error))) {
    const header = HEADERS[key];
    if (!header) continue;
    const { name, description, type } = header;
    headers[name] = { description, schema: { type }, example: type === 'integer' ? Number(value) : value };
  }
  return Object.keys(headers).length > 0 ? { headers } : {};
}
