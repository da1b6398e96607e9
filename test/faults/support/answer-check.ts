import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import type { ApiAnswer } from './http-client';
import type { OpenApiDocument, Operation } from './openapi-document';
import type { ApiRequest } from './openapi-requests';

const PROBLEM = 'application/problem+json';

/** Files are checked by their type only: what their lines are stands in no schema. */
const STREAMS = ['application/x-ndjson', 'text/csv'];

/** What the description of the document says of all paths: not listed, or another method; broken escapes are no HTTP. */
const UNLISTED_PATH = 404;
const OTHER_METHOD = 405;
const NO_HTTP = 400;

/** Holds answers to what the document says of their operation. */
export class AnswerCheck {
  private readonly ajv = new Ajv2020({ strict: false });
  private readonly validators = new Map<string, ValidateFunction>();

  constructor(private readonly document: OpenApiDocument) {
    addFormats(this.ajv);
    this.ajv.addSchema(document.root, 'openapi');
  }

  /** The operation that a request is for, HEAD being one of GET; `undefined` where the document lists none. */
  operationOf({ method, target }: ApiRequest): Operation | undefined {
    const wanted = method === 'HEAD' ? 'GET' : method;
    return this.document.operationsAt(target).find((operation) => operation.method === wanted);
  }

  /** What is wrong with an answer, or `undefined`. */
  problemOf(request: ApiRequest, answer: ApiAnswer): string | undefined {
    const { status } = answer;
    if (status >= 500) return `a ${status}`;
    if (request.method === 'HEAD' && answer.text !== '') return 'an answer to HEAD has a body';
    const operation = this.operationOf(request);
    const types = operation?.responses[status];
    if (!operation || !types) return this.globalProblem(request, answer, operation);
    if (request.method === 'HEAD') return undefined;
    const { path, method } = operation;
    const responses = ['paths', path, method.toLowerCase(), 'responses'];
    return this.bodyProblem(answer, types, (type) => [...responses, String(status), 'content', type, 'schema']);
  }

  private globalProblem(
    { method, target }: ApiRequest,
    answer: ApiAnswer,
    operation: Operation | undefined,
  ): string | undefined {
    const isListed = this.document.operationsAt(target).length > 0;
    const expected = isWellEncoded(target) ? (isListed ? OTHER_METHOD : UNLISTED_PATH) : NO_HTTP;
    if (operation && expected !== NO_HTTP) return `${operation.id} has no ${answer.status} in the document`;
    if (answer.status !== expected) return `a ${answer.status} instead of a ${expected}`;
    return method === 'HEAD'
      ? undefined
      : this.bodyProblem(answer, [PROBLEM], () => ['components', 'schemas', 'Problem']);
  }

  private bodyProblem(
    { headers, text, status }: ApiAnswer,
    types: string[],
    place: (type: string) => string[],
  ): string | undefined {
    if (types.length === 0) return text === '' ? undefined : `a ${status} has a body`;
    const [type = ''] = (headers['content-type'] ?? '').split(';', 1);
    if (!types.includes(type)) return `the type ${type} is not one of ${types.join(', ')}`;
    if (STREAMS.includes(type)) return undefined;
    const value = parse(text);
    if (value === undefined) return 'the body is no JSON';
    if (type === PROBLEM && (value as { status?: unknown }).status !== status) return 'the problem has another status';
    const validate = this.validator(place(type));
    return validate(value) ? undefined : `the body breaks its schema: ${this.ajv.errorsText(validate.errors)}`;
  }

  private validator(place: string[]): ValidateFunction {
    const pointer = place.map((step) => encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
    const known = this.validators.get(pointer);
    if (known) return known;
    const validator = this.ajv.compile({ $ref: `openapi#/${pointer}` });
    this.validators.set(pointer, validator);
    return validator;
  }
}

function isWellEncoded(target: string): boolean {
  try {
    decodeURIComponent(target);
    return true;
  } catch {
    return false;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
