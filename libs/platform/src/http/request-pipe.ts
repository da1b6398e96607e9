import { Injectable, type ArgumentMetadata, type PipeTransform, type Type } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { AppError, invalid, MAX_ERRORS, type FieldError } from './app-error';
import { compileRules, type BrokenRule, type Rules } from './compiled-rules';
import { escapePointer, shorten } from './json-body';
import { groupOf, queryGroupsOf, type QueryGroupEntry, type QueryGroups } from './query-parameters';

/** What a DTO class takes, made once for each class. */
interface Shape {
  rules: Rules;
  groups: QueryGroups;
}

type Parameters = Record<string, string | string[]>;

const shapes = new Map<Type, Shape>();

/** Validates bodies, queries and path parameters against their DTO classes: 422 with every broken rule. */
@Injectable()
export class RequestPipe implements PipeTransform {
  transform(value: unknown, { type, metatype }: ArgumentMetadata): unknown {
    if (type === 'body') requireObject(value);
    // Without rules it is no DTO but a single parameter, and its own pipe needs the text as it was sent.
    if (!metatype || shapeOf(metatype).rules.names.size === 0) return value;
    const dto = metatype as Type<object>;
    return type === 'body' ? toBody(dto, value as object) : toQuery(dto, value as Parameters, type);
  }
}

/**
 * The body as an instance of `dto`.
 *
 * @throws AppError `invalid` with every rule that it breaks
 */
export function toBody<T extends object>(dto: Type<T>, body: object): T {
  const { rules } = shapeOf(dto);
  // class-transformer would copy the body deeply: in quadratic time, and without keys such as `toString`.
  const instance = new dto();
  const unknown: string[] = [];
  for (const name of Object.keys(body)) {
    if (rules.names.has(name)) instance[name as keyof T] = (body as T)[name as keyof T];
    else unknown.push(name);
  }
  const broken = rules.check(instance);
  if (broken.length > 0 || unknown.length > 0) refuse(unknown, broken, [], 'body');
  return instance;
}

function toQuery(dto: Type<object>, parameters: Parameters, place: ArgumentMetadata['type']): object {
  const { rules, groups } = shapeOf(dto);
  const fields: Record<string, unknown> = {};
  const grouped = new Map<string, Map<string, QueryGroupEntry>>();
  const unknown: string[] = [];
  const errors: FieldError[] = [];
  for (const [name, text] of Object.entries(parameters)) {
    const group = groupOf(name, groups);
    if (group) {
      const entries = grouped.get(group.property) ?? new Map<string, QueryGroupEntry>();
      grouped.set(group.property, entries);
      const problem = group.read(name, [text].flat(), entries);
      if (problem !== undefined) errors.push({ detail: `${shorten(name)} ${problem}`, parameter: shorten(name) });
    } else if (rules.names.has(name)) fields[name] = text;
    else unknown.push(name);
  }
  for (const [property, entries] of grouped) fields[property] = [...entries.values()];
  const instance = plainToInstance(dto, fields);
  const broken = rules.check(instance);
  if (broken.length + errors.length + unknown.length > 0) refuse(unknown, broken, errors, place);
  return instance;
}

function refuse(unknown: string[], broken: BrokenRule[], others: FieldError[], place: ArgumentMetadata['type']): never {
  const errors = [
    ...unknown.slice(0, MAX_ERRORS).map((name) => unknownName(name, place)),
    ...others,
    ...broken.map(({ property, message }) => fieldError(message, property, place)),
  ];
  throw invalid(errors, errors.length + Math.max(0, unknown.length - MAX_ERRORS));
}

function shapeOf(dto: Type): Shape {
  let shape = shapes.get(dto);
  if (!shape) {
    shape = { rules: compileRules(dto), groups: queryGroupsOf(dto) };
    shapes.set(dto, shape);
  }
  return shape;
}

function requireObject(value: unknown): void {
  if (value === undefined) throw new AppError('malformed', 'The request has no body; send JSON.');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid([{ detail: 'the body must be a JSON object', pointer: '#' }]);
  }
}

/** The error for a name that stands in no DTO. */
export function unknownName(name: string, place: ArgumentMetadata['type']): FieldError {
  return fieldError(`${shorten(name)} is not known here`, name, place);
}

function fieldError(detail: string, name: string, place: ArgumentMetadata['type']): FieldError {
  return place === 'body' ? { detail, pointer: `#/${escapePointer(name)}` } : { detail, parameter: shorten(name) };
}
