import { applyDecorators, Injectable, type ArgumentMetadata, type PipeTransform, type Type } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { plainToInstance, Transform } from 'class-transformer';
import {
  getMetadataStorage,
  registerDecorator,
  validate,
  type ValidationError,
  type ValidationOptions,
} from 'class-validator';
import { AppError, invalid, MAX_ERRORS, type FieldError } from './app-error';
import { escapePointer, shorten } from './json-body';

/** Validates bodies, queries and path parameters against their DTO classes: 422 with every broken rule. */
@Injectable()
export class RequestPipe implements PipeTransform {
  async transform(value: unknown, { type, metatype }: ArgumentMetadata): Promise<unknown> {
    if (type === 'body') requireObject(value);
    const known = metatype && knownNames(metatype);
    // Without rules it is no DTO but a single parameter, and its own pipe needs the text as it was sent.
    if (!known?.size) return value;
    const given = Object.entries(value as object);
    const fields = Object.fromEntries(given.filter(([name]) => known.has(name)));
    const dto = toInstance(metatype as Type<object>, fields, type);
    const unknown = given.filter(([name]) => !known.has(name));
    const errors = [
      ...unknown.slice(0, MAX_ERRORS).map(([name]) => unknownName(name, type)),
      ...fieldErrors(await validate(dto, { stopAtFirstError: true }), type),
    ];
    if (errors.length > 0) throw invalid(errors, errors.length + Math.max(0, unknown.length - MAX_ERRORS));
    return dto;
  }
}

const namesOf = new Map<Type, ReadonlySet<string>>();

/** The properties of a DTO class that have a rule; none for `String`, `Object` and the like. */
function knownNames(metatype: Type): ReadonlySet<string> {
  let names = namesOf.get(metatype);
  if (!names) {
    const rules = getMetadataStorage().getTargetValidationMetadatas(metatype, '', false, false);
    names = new Set(rules.map(({ propertyName }) => propertyName));
    namesOf.set(metatype, names);
  }
  return names;
}

// class-transformer would copy a body deeply: in quadratic time, and without keys such as `toString`.
function toInstance(dto: Type<object>, fields: object, place: ArgumentMetadata['type']): object {
  return place === 'body' ? Object.assign(new dto(), fields) : plainToInstance(dto, fields);
}

function requireObject(value: unknown): void {
  if (value === undefined) throw new AppError('malformed', 'The request has no body; send JSON.');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid([{ detail: 'the body must be a JSON object', pointer: '#' }]);
  }
}

function fieldErrors(errors: ValidationError[], place: ArgumentMetadata['type']): FieldError[] {
  return errors.flatMap(({ property, constraints = {} }) =>
    Object.values(constraints).map((message) => fieldError(message, property, place)),
  );
}

/** The error for a name that stands in no DTO. */
export function unknownName(name: string, place: ArgumentMetadata['type']): FieldError {
  return fieldError(`${shorten(name)} is not known here`, name, place);
}

function fieldError(detail: string, name: string, place: ArgumentMetadata['type']): FieldError {
  return place === 'body' ? { detail, pointer: `#/${escapePointer(name)}` } : { detail, parameter: shorten(name) };
}

/** A property decorator of one rule; `check` returns what is wrong, without the property's name, or `undefined`. */
export function rule(
  name: string,
  check: (value: unknown) => string | undefined,
  options?: ValidationOptions,
): PropertyDecorator {
  return (target, propertyName) => {
    registerDecorator({
      name,
      target: target.constructor,
      propertyName: String(propertyName),
      ...(options && { options }),
      validator: {
        validate: (value) => check(value) === undefined,
        defaultMessage: (args) => `${args?.property} ${check(args?.value) ?? 'is not valid'}`,
      },
    });
  };
}

/**
 * What is wrong with a text of `min` to `max` Unicode code points, or `undefined`. PostgreSQL's `varchar(n)` counts
 * code points too; a JavaScript string counts UTF-16 units, of which a code point has one or two.
 */
export function checkText(value: unknown, min: number, max: number): string | undefined {
  if (typeof value !== 'string') return 'must be a string';
  if (value.includes('\0')) return 'must not contain the NUL character';
  if (value.length < min) return min === 1 ? 'must not be empty' : `must have at least ${min} characters`;
  const tooLong = value.length > max && (value.length > 2 * max || [...value].length > max);
  return tooLong ? `must have at most ${max} characters` : undefined;
}

/** A string property of 1 (or `min`) to `max` Unicode code points without NUL, with its schema. */
export function Text({
  min = 1,
  max,
  ...schema
}: { min?: number; max: number } & Omit<ApiPropertyOptions, 'type'>): PropertyDecorator {
  return applyDecorators(
    rule('text', (value) => checkText(value, min, max)),
    ApiProperty({ type: 'string', minLength: min, maxLength: max, ...schema } as ApiPropertyOptions),
  );
}

/** An integer query parameter in decimal digits, given once, with its schema; the property's initial value is the default. */
export function QueryInteger({
  min,
  max,
  ...schema
}: {
  min: number;
  max: number;
  default: number;
  description: string;
}): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value,
    ),
    rule('integer', (value) => {
      if (Array.isArray(value)) return 'must be given once';
      const allowed = typeof value === 'number' && value >= min && value <= max;
      return allowed ? undefined : `must be an integer from ${min} to ${max}`;
    }),
    ApiProperty({ type: 'integer', minimum: min, maximum: max, required: false, ...schema }),
  );
}

/** A query parameter that may repeat, any of its values matching; `check` judges each value. */
export function QueryList(
  check: (value: unknown) => string | undefined,
  schema: ApiPropertyOptions,
): PropertyDecorator {
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

/** How often one list parameter may be given. */
const MAX_LIST_VALUES = 100;
