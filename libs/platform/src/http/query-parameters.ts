import 'reflect-metadata';
import { applyDecorators, type Type } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { rule } from './validation';

/** What is wrong with a value, without its name, or `undefined`. */
type Check = (value: string) => string | undefined;

/** How often one list parameter may be given. */
const MAX_LIST_VALUES = 100;

/** How many different parameters of one group a request may have. */
const MAX_GROUP_PARAMETERS = 20;

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
  schema: { description: string; default?: string; example?: string; enumName?: string },
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

/** Parameters whose names start with the property's own name and a dot, such as `details.http.status`. */
export interface QueryGroupRules {
  /** What is wrong with the rest of the name. */
  path: Check;
  value: Check;
}

/** The property's value is a list of paths, each with the values that it was given with. */
export function QueryGroup(
  { path, value }: QueryGroupRules,
  schema: { description: string; example: Record<string, string> },
): PropertyDecorator {
  return (target, property) => {
    const name = String(property);
    const group: QueryParameterGroup = {
      property: name,
      read: (parameter, values, others) => {
        const rest = parameter.slice(name.length + 1);
        if (others >= MAX_GROUP_PARAMETERS) return `is one too many: at most ${MAX_GROUP_PARAMETERS} are allowed`;
        if (values.length > MAX_LIST_VALUES) return `must be given at most ${MAX_LIST_VALUES} times`;
        return path(rest) ?? values.map(value).find((problem) => problem !== undefined) ?? [rest, values];
      },
    };
    Reflect.defineMetadata(GROUPS, [...groupList(target.constructor as Type), group], target.constructor);
    const described = { type: 'object', required: false, additionalProperties: { type: 'string' }, ...schema };
    ApiProperty(described as unknown as ApiPropertyOptions)(target, property);
  };
}

const GROUPS = Symbol('query parameter groups');

export interface QueryParameterGroup {
  property: string;
  /** The path and values of one parameter, or what is wrong with them; `others` are there already. */
  read(parameter: string, values: string[], others: number): [path: string, values: string[]] | string;
}

/** The groups of a DTO class and its base classes, by the name in front of the dot. */
export type QueryGroups = ReadonlyMap<string, QueryParameterGroup>;

export function queryGroupsOf(dto: Type): QueryGroups {
  return new Map(groupList(dto).map((group) => [group.property, group]));
}

function groupList(dto: Type): QueryParameterGroup[] {
  return (Reflect.getMetadata(GROUPS, dto) as QueryParameterGroup[] | undefined) ?? [];
}
