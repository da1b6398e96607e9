import type {
  MediaTypeObject,
  OpenAPIObject,
  OperationObject,
  ParameterObject,
  ReferenceObject,
  RequestBodyObject,
  ResponseObject,
  SchemaObject,
} from '@nestjs/swagger';
import { AppError, type ErrorKind } from './app-error';
import { isOpen, isProbe } from './authentication';
import { problemResponse } from './api-problems';
import { PROBLEM_MEDIA_TYPE, statusOf, type Problem } from './problem';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

/** Any operation may be asked with a query that nobody can read. */
const WRONG_QUERY = new AppError('malformed', 'The query is not percent-encoded UTF-8.');

type Schemas = Record<string, SchemaObject | ReferenceObject>;

/**
 * Completes the document with what holds for every operation and stands in no controller: who needs a token, the error
 * answers that any operation may give, and an example of every body, made of the examples of its fields.
 */
export function completeDocument(document: OpenAPIObject): OpenAPIObject {
  const schemas = document.components?.schemas ?? {};
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (operation) completeOperation(operation, path, schemas);
    }
  }
  return document;
}

function completeOperation(operation: OperationObject, path: string, schemas: Schemas): void {
  const parameters = (operation.parameters ?? []).filter(isParameter);
  for (const parameter of parameters) {
    spellOutStyle(parameter);
    moveExamples(parameter);
  }
  if (isOpen(path)) operation.security = [];
  const common: (ErrorKind | AppError)[] = [
    WRONG_QUERY,
    ...(isOpen(path) ? [] : ['unauthorized' as const]),
    ...(isProbe(path) ? [] : ['rate_limited' as const]),
    'internal',
  ];
  for (const problem of common) {
    const kind = typeof problem === 'string' ? problem : problem.kind;
    operation.responses[statusOf(kind)] ??= problemResponse(problem);
  }
  for (const { body, isRequest } of bodiesOf(operation)) {
    if (isRequest) refuseUnknownFields(body, schemas);
    if (body.schema && body.example === undefined && !body.examples) body.example = exampleOf(body.schema, schemas);
  }
  for (const response of Object.values(operation.responses)) {
    if (response && !isReference(response)) nameInstance(response, examplePath(path, parameters));
  }
}

// A list repeats its parameter, which is the default of OpenAPI, but readers and generators guess it wrong; an object puts
// its keys in brackets, because more generators can send that than the default.
function spellOutStyle(parameter: ParameterObject): void {
  if (parameter.in !== 'query' || !parameter.schema || isReference(parameter.schema)) return;
  const { type } = parameter.schema;
  if (type === 'array') Object.assign(parameter, { style: 'form', explode: true });
  if (type === 'object') Object.assign(parameter, { style: 'deepObject', explode: true });
}

// Nest leaves the list that JSON Schema has for examples beside the schema, where OpenAPI has a map of another kind.
function moveExamples(parameter: ParameterObject): void {
  const examples: unknown = parameter.examples;
  if (!Array.isArray(examples) || !parameter.schema || isReference(parameter.schema)) return;
  Object.assign(parameter.schema, { examples });
  delete parameter.examples;
}

function bodiesOf({ requestBody, responses }: OperationObject): { body: MediaTypeObject; isRequest: boolean }[] {
  const bodies = (of: RequestBodyObject | ResponseObject | ReferenceObject | undefined): MediaTypeObject[] =>
    of && !isReference(of) ? Object.values(of.content ?? {}) : [];
  return [
    ...bodies(requestBody).map((body) => ({ body, isRequest: true })),
    ...Object.values(responses).flatMap((response) => bodies(response).map((body) => ({ body, isRequest: false }))),
  ];
}

// As `RequestPipe` does, with every body.
function refuseUnknownFields({ schema }: MediaTypeObject, schemas: Schemas): void {
  const resolved = schema && resolve(schema, schemas);
  if (resolved?.properties) resolved.additionalProperties = false;
}

function exampleOf(schema: SchemaObject | ReferenceObject, schemas: Schemas): unknown {
  const resolved = resolve(schema, schemas);
  const example: unknown = resolved.example;
  if (example !== undefined) return example;
  const { type, items, properties } = resolved;
  if (type === 'array' && items) return [exampleOf(items, schemas)];
  if (!properties) return undefined;
  return Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, exampleOf(field, schemas)]));
}

function resolve(schema: SchemaObject | ReferenceObject, schemas: Schemas): SchemaObject {
  if (!isReference(schema)) return schema;
  const target = schemas[schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1)];
  if (!target) throw new Error(`the document refers to ${schema.$ref} and does not have it`);
  return resolve(target, schemas);
}

function nameInstance({ content = {} }: ResponseObject, instance: string): void {
  const problem = content[PROBLEM_MEDIA_TYPE];
  if (problem) problem.example = { ...(problem.example as Problem), instance };
}

function examplePath(path: string, parameters: ParameterObject[]): string {
  return path.replace(/\{(\w+)\}/g, (_match, name: string) => {
    const schema = parameters.find((parameter) => parameter.in === 'path' && parameter.name === name)?.schema;
    const example: unknown = schema && !isReference(schema) ? schema.example : undefined;
    if (typeof example !== 'string' && typeof example !== 'number')
      throw new Error(`${path} has no example of ${name}`);
    return encodeURIComponent(example);
  });
}

function isParameter(parameter: ParameterObject | ReferenceObject): parameter is ParameterObject {
  return !isReference(parameter);
}

function isReference<T extends object>(object: T | ReferenceObject): object is ReferenceObject {
  return '$ref' in object;
}
