import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { registerDecorator, type ValidationOptions } from 'class-validator';

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

/**
 * A string property of 1 (or `min`) to `max` Unicode code points without NUL, with its schema. `check` returns what else
 * is wrong with such a text, or `undefined`.
 */
export function Text({
  min = 1,
  max,
  check,
  ...schema
}: {
  min?: number;
  max: number;
  check?: (text: string) => string | undefined;
} & Omit<ApiPropertyOptions, 'type'>): PropertyDecorator {
  return applyDecorators(
    rule('text', (value) => checkText(value, min, max) ?? check?.(value as string)),
    ApiProperty({ type: 'string', minLength: min, maxLength: max, ...schema } as ApiPropertyOptions),
  );
}
