import 'reflect-metadata';
import { applyDecorators, type Type } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { rule } from './validation';

/** What is wrong with a value, without its name, or `undefined`. */
type Check = (value: string) => string | undefined;

/** How often one list parameter may be given. */
const MAX_LIST_VALUES = 100;

/** How many different paths of one group a request may have. */
const MAX_GROUP_PATHS = 20;

/** An integer query parameter in decimal digits, given once, with its schema; the property's initial value is the default. */
export function QueryInteger({
  min,
  max,
  ...schema
}: {
  min: number;
  max: number;
  default?: number;
  description: string;
}): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value,
    ),
    rule('integer', (value) => {
      if (value === undefined) return undefined;
      if (Array.isArray(value)) return 'must be given once';
      const allowed = typeof value === 'number' && value >= min && value <= max;
      return allowed ? undefined : `must be an integer from ${min} to ${max}`;
    }),
    ApiProperty({ type: 'integer', minimum: min, maximum: max, required: false, ...schema }),
  );
}

/** A query parameter that is given once, with its schema. */
export function QueryText(check: Check, schema: ApiPropertyOptions): PropertyDecorator {
  return applyDecorators(
    rule('text', (value) => {
      if (value === undefined) return undefined;
      return typeof value === 'string' ? check(value) : 'must be given once';
    }),
    ApiProperty({ required: false, ...schema } as ApiPropertyOptions),
  );
}

/** A query parameter that is one of a few words, given once, with its schema. */
export function QueryEnum(
  words: readonly string[],
  schema: { description: string; default?: string; enumName?: string },
): PropertyDecorator {
  const check: Check = (value) => (words.includes(value) ? undefined : `must be one of ${words.join(', ')}`);
  return QueryText(check, { enum: words, ...schema });
}

/** `true` or `false`, given once; the property's initial value is the default. */
export function QueryBoolean(schema: { default: boolean; description: string }): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) => ({ true: true, false: false })[value as string] ?? value),
    rule('boolean', (value) => {
      if (Array.isArray(value)) return 'must be given once';
      return typeof value === 'boolean' ? undefined : 'must be true or false';
    }),
    ApiProperty({ type: 'boolean', required: false, ...schema }),
  );
}

/** A query parameter that may repeat, any of its values matching; `check` judges each value. */
export function QueryList(check: Check, schema: ApiPropertyOptions): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) => (value === undefined ? undefined : [value].flat())),
    rule('list', (value) => {
      if (value === undefined) return undefined;
      if (!Array.isArray(value)) return 'is not valid';
      if (value.length > MAX_LIST_VALUES) return `must be given at most ${MAX_LIST_VALUES} times`;
      return value.map(check).find((problem) => problem !== undefined);
    }),
    ApiProperty({ required: false, ...schema } as ApiPropertyOptions),
  );
}

/** How the parameters of a group are read. */
export interface QueryGroupRules {
  /** The steps of a path, or what is wrong with it. */
  path(text: string): string[] | string;
  /** The path and the value of the text spelling, or what is wrong with it. */
  pair(text: string): [path: string[], value: string] | string;
  /** What is wrong with a value. */
  value: Check;
}

/** What the OpenAPI document says of a group: of its object and of its text spelling. */
export interface QueryGroupSchema {
  description: string;
  example: Record<string, string>;
  text: { name: string; description: string; example: string };
}

/** One path of a group with the values that it was given with, in whatever spelling. */
export type QueryGroupEntry = [path: string[], values: string[]];

/**
 * Conditions on paths, in three spellings: `details.http.status=504` and `details[http.status]=504` by the name of the
 * property (OpenAPI's `deepObject`), and `detail=http.status=504` as a text, for clients that cannot send objects. The
 * property's value is a list of `QueryGroupEntry`, the same for every spelling.
 */
export function QueryGroup(rules: QueryGroupRules, schema: QueryGroupSchema): PropertyDecorator {
  return (target, property) => {
    const name = String(property);
    const group = new QueryParameterGroup(name, schema.text.name, rules);
    Reflect.defineMetadata(GROUPS, [...groupList(target.constructor as Type), group], target.constructor);
    const { text, description, example } = schema;
    ApiProperty({
      type: 'object',
      required: false,
      additionalProperties: { type: 'string' },
      description,
      // So that Swagger UI begins with no condition, not with one that it made up.
      default: {},
      examples: [example],
    } as unknown as ApiPropertyOptions)(target, property);
    ApiProperty({
      type: 'array',
      required: false,
      items: { type: 'string', examples: [text.example] },
      description: text.description,
    } as unknown as ApiPropertyOptions)(target, text.name);
  };
}

const GROUPS = Symbol('query parameter groups');

/** The parameters of one property that has a name for each path. */
export class QueryParameterGroup {
  constructor(
    readonly property: string,
    readonly textName: string,
    private readonly rules: QueryGroupRules,
  ) {}

  /**
   * Adds what a parameter says to `entries`, by path.
   *
   * @returns what is wrong with the parameter, without its name
   */
  read(parameter: string, texts: string[], entries: Map<string, QueryGroupEntry>): string | undefined {
    if (texts.length > MAX_LIST_VALUES) return `must be given at most ${MAX_LIST_VALUES} times`;
    const pairs = parameter === this.textName ? this.readTexts(texts) : this.readNamed(parameter, texts);
    if (typeof pairs === 'string') return pairs;
    for (const [path, value] of pairs) {
      const problem = this.rules.value(value) ?? add(entries, path, value);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  private readTexts(texts: string[]): [string[], string][] | string {
    const pairs = texts.map((text) => this.rules.pair(text));
    return pairs.find((pair) => typeof pair === 'string') ?? (pairs as [string[], string][]);
  }

  private readNamed(parameter: string, texts: string[]): [string[], string][] | string {
    const rest = parameter.slice(this.property.length);
    if (rest === '') return this.pathMissing();
    const isBracketed = rest.startsWith('[');
    if (isBracketed && !rest.endsWith(']')) return 'must end with ]';
    const text = isBracketed ? rest.slice(1, -1) : rest.slice(1);
    // As some clients write objects in objects: it would find nothing, and not say why.
    if (isBracketed && /^[^"]*\]\[/.test(text)) return `must have one pair of brackets, as ${this.property}[a.b]`;
    const path = this.rules.path(text);
    return typeof path === 'string' ? path : texts.map((value): [string[], string] => [path, value]);
  }

  private pathMissing(): string {
    return `must name a path: ${this.property}.a.b=1 or ${this.property}[a.b]=1, or ${this.textName}=a.b=1 from a client that sends an object as text`;
  }
}

function add(entries: Map<string, QueryGroupEntry>, path: string[], value: string): string | undefined {
  const key = JSON.stringify(path);
  const entry = entries.get(key);
  if (!entry && entries.size >= MAX_GROUP_PATHS) return `is one too many: at most ${MAX_GROUP_PATHS} paths are allowed`;
  if (entry && entry[1].length >= MAX_LIST_VALUES) return `must have at most ${MAX_LIST_VALUES} values for one path`;
  if (entry) entry[1].push(value);
  else entries.set(key, [path, [value]]);
  return undefined;
}

/** The groups of a DTO class and its base classes, by what the names of their parameters begin with. */
export type QueryGroups = ReadonlyMap<string, QueryParameterGroup>;

export function queryGroupsOf(dto: Type): QueryGroups {
  return new Map(
    groupList(dto).flatMap((group) => [
      [group.property, group],
      [group.textName, group],
    ]),
  );
}

/** The group that a parameter belongs to, if any. */
export function groupOf(parameter: string, groups: QueryGroups): QueryParameterGroup | undefined {
  if (groups.size === 0) return undefined;
  const [head = ''] = parameter.split(/[.[]/, 1);
  const group = groups.get(head);
  return group?.property === head || parameter === head ? group : undefined;
}

function groupList(dto: Type): QueryParameterGroup[] {
  return (Reflect.getMetadata(GROUPS, dto) as QueryParameterGroup[] | undefined) ?? [];
}
