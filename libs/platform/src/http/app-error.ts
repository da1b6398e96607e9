/** What went wrong, in the service's own terms; `problem.ts` maps each kind to its HTTP status. */
export type ErrorKind =
  | 'malformed'
  | 'unauthorized'
  | 'not_found'
  | 'method_not_allowed'
  | 'timeout'
  | 'conflict'
  | 'precondition_failed'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'range_not_satisfiable'
  | 'expectation_failed'
  | 'misdirected'
  | 'invalid'
  | 'rate_limited'
  | 'headers_too_large'
  | 'internal'
  | 'unavailable';

/** One rule that the input breaks: where (RFC 6901 pointer into the body, or parameter name) and what is allowed. */
export type FieldError = { detail: string } & ({ pointer: string } | { parameter: string });

export interface AppErrorOptions {
  /** The rules broken, for `invalid`. */
  errors?: FieldError[];
  /** Response headers that belong to the error, such as `Allow`. */
  headers?: Record<string, string>;
  cause?: unknown;
}

/** The one error that services throw; its message reaches the client as `detail`. */
export class AppError extends Error {
  readonly errors: FieldError[] | undefined;
  readonly headers: Record<string, string>;

  constructor(
    readonly kind: ErrorKind,
    message: string,
    { errors, headers = {}, cause }: AppErrorOptions = {},
  ) {
    super(message, { cause });
    this.name = 'AppError';
    this.errors = errors;
    this.headers = headers;
  }
}

/** Errors listed in one answer: a body of 1 MiB can break a rule 100,000 times. */
export const MAX_ERRORS = 20;

/**
 * The error for input that is understood but not allowed (422); its message sums the errors up.
 *
 * @param total how many there are, where not all are listed
 */
export function invalid(errors: FieldError[], total = errors.length): AppError {
  const [first] = errors;
  const rest = total > 1 ? ` (and ${total - 1} more)` : '';
  return new AppError('invalid', `The request is not valid: ${first?.detail ?? 'see errors'}${rest}`, {
    errors: errors.slice(0, MAX_ERRORS),
  });
}
