import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What of a JSON schema the document uses for requests. */
export interface Schema {
  $ref?: string;
  allOf?: Schema[];
  type?: string | string[];
  format?: string;
  enum?: unknown[];
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  example?: unknown;
  examples?: unknown[];
}

export interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  schema: Schema;
}

interface OperationObject {
  operationId: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { content?: Record<string, unknown> }>;
}

/** One operation, and where it stands. */
export interface Operation {
  id: string;
  /** In capitals. */
  method: string;
  /** With parameters in braces. */
  path: string;
  parameters: Parameter[];
  /** The schemas of its body, by media type; none where it has no body. */
  bodies: Record<string, Schema>;
  /** The media types of each status, the answer's body being empty where there is none. */
  responses: Record<string, string[]>;
}

/** The document in the repository; a check holds it to what the application says of itself. */
export class OpenApiDocument {
  readonly root: { paths: Record<string, Record<string, OperationObject>>; components: { schemas: Schemas } };
  readonly operations: Operation[];

  constructor() {
    const text = readFileSync(join(__dirname, '../../../docs/openapi.json'), 'utf8');
    this.root = JSON.parse(text) as typeof this.root;
    this.operations = Object.entries(this.root.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => toOperation(path, method, operation)),
    );
  }

  /** A schema of the components. */
  schema(name: string): Schema {
    const schema = this.root.components.schemas[name];
    if (!schema) throw new Error(`the document has no schema ${name}`);
    return schema;
  }

  /** The schema itself where it is a reference, or one with a description around it. */
  resolve(schema: Schema): Schema {
    if (schema.$ref !== undefined)
      return this.resolve(this.schema(schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1)));
    const [only] = schema.allOf ?? [];
    return only ? this.resolve(only) : schema;
  }

  /** The operations of the path that a request target names: none where the document does not list it. */
  operationsAt(target: string): Operation[] {
    const path = pathOf(target);
    const found = this.operations.filter((operation) => matches(operation.path, path));
    // `/api/events/stats` is no event with the id `stats`.
    return found.some((operation) => operation.path === path)
      ? found.filter((operation) => operation.path === path)
      : found;
  }
}

type Schemas = Record<string, Schema>;

function toOperation(path: string, method: string, operation: OperationObject): Operation {
  const { operationId, parameters = [], requestBody, responses } = operation;
  return {
    id: operationId,
    method: method.toUpperCase(),
    path,
    parameters,
    bodies: mapValues(requestBody?.content ?? {}, ({ schema }) => schema),
    responses: mapValues(responses, ({ content = {} }) => Object.keys(content)),
  };
}

function mapValues<From, To>(object: Record<string, From>, map: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));
}

// A trailing slash is ignored, and an escape is its character unless that would end the path or a step of it.
function pathOf(target: string): string {
  const [path = ''] = target.split(/[?#]/, 1);
  return decodeEscapes(path).replace(/(?<=.)\/$/, '');
}

function decodeEscapes(path: string): string {
  try {
    return decodeURI(path);
  } catch {
    return path;
  }
}

function matches(template: string, path: string): boolean {
  const steps = path.split('/');
  const names = template.split('/');
  return (
    steps.length === names.length &&
    names.every((name, index) => (name.startsWith('{') ? steps[index] !== '' : name === steps[index]))
  );
}
