import * as fc from 'fast-check';
import type { OpenApiDocument, Schema } from './openapi-document';
import { nastyJson, nastyNames, nastyTexts } from './nasty-values';

type Scalar = string | number | boolean | null;

/** The event that a body of no closer schema is made of. */
const EVENT = 'CreateEvent';

/** Arbitraries of what the schemas of a document allow, and of what they do not. */
export class SchemaValues {
  constructor(private readonly document: OpenApiDocument) {}

  /** A single value as the text of a parameter. */
  text(schema: Schema): fc.Arbitrary<string> {
    return this.scalar(schema).map(String);
  }

  /** A text that is just not a single value of the schema, or far from it. */
  wrongText(schema: Schema): fc.Arbitrary<string> {
    return fc.oneof(
      { weight: 1, arbitrary: this.justBeyond(this.document.resolve(schema)).map(String) },
      { weight: 3, arbitrary: nastyTexts },
    );
  }

  /** A value as JSON text. */
  json(schema: Schema): fc.Arbitrary<string> {
    const { type, properties, items } = this.document.resolve(schema);
    if (properties) return this.fields(schema).map(toObjectText);
    if (items) return fc.array(this.json(this.elementOf(items)), { maxLength: 4 }).map((texts) => `[${texts.join()}]`);
    if ([type].flat().includes('object')) return fc.oneof({ weight: 4, arbitrary: DETAILS }, this.nothing(schema));
    return this.scalar(schema).map((value) => JSON.stringify(value));
  }

  /** JSON text that mostly breaks the schema in one place. */
  wrongJson(schema: Schema): fc.Arbitrary<string> {
    const { type, properties, items } = this.document.resolve(schema);
    if (properties) return this.wrongFields(schema);
    if (items) {
      const element = this.elementOf(items);
      const elements = fc.array(fc.oneof(this.json(element), this.wrongJson(element)), { minLength: 1, maxLength: 4 });
      return fc.oneof({ weight: 4, arbitrary: elements.map((texts) => `[${texts.join()}]`) }, nastyJson);
    }
    if ([type].flat().includes('object')) return nastyJson;
    const beyond = this.justBeyond(this.document.resolve(schema)).map((value) => JSON.stringify(value));
    return fc.oneof({ weight: 1, arbitrary: beyond }, { weight: 3, arbitrary: nastyJson });
  }

  /** What the elements of a list are: events where the document says only that they are objects. */
  elementOf(items: Schema | undefined): Schema {
    if (!items) return this.document.schema(EVENT);
    const { type, properties } = this.document.resolve(items);
    return type === 'object' && !properties ? this.document.schema(EVENT) : items;
  }

  /** The fields of an object, required ones always, each as JSON text. */
  fields(schema: Schema): fc.Arbitrary<[name: string, json: string][]> {
    const { properties = {}, required = [] } = this.document.resolve(schema);
    const fields = Object.entries(properties).map(([name, field]) => {
      const value = this.json(field).map((json): [string, string] => [name, json]);
      return required.includes(name) ? value : fc.option(value, { nil: undefined });
    });
    return fc.tuple(...fields).map((all) => all.filter((field) => field !== undefined));
  }

  private wrongFields(schema: Schema): fc.Arbitrary<string> {
    const properties = Object.entries(this.document.resolve(schema).properties ?? {});
    const changes = properties.map(([name, field]) =>
      this.wrongJson(field).map((json): [string, string] => [name, json]),
    );
    const unknown = fc.tuple(nastyNames, nastyJson);
    return fc
      .record({
        fields: this.fields(schema),
        change: fc.oneof(...changes, unknown),
        how: fc.constantFrom('replace', 'replace', 'replace', 'repeat', 'drop'),
      })
      .map(({ fields, change, how }) => {
        const others = fields.filter(([name]) => how === 'repeat' || name !== change[0]);
        return toObjectText(how === 'drop' ? others : [...others, change]);
      });
  }

  private nothing(schema: Schema): fc.Arbitrary<string> {
    return [this.document.resolve(schema).type].flat().includes('null') ? fc.constant('null') : fc.constant('{}');
  }

  private scalar(schema: Schema): fc.Arbitrary<Scalar> {
    const resolved = this.document.resolve(schema);
    const { example, examples = [], type } = resolved;
    const values = [{ weight: 2, arbitrary: this.typical(resolved) }];
    const shown = [example, ...examples].filter(isScalar);
    // Where the schema says no more than that it is a text, only the example knows of which form.
    if (shown.length > 0) values.push({ weight: isPlainText(resolved) ? 40 : 2, arbitrary: fc.constantFrom(...shown) });
    if ([type].flat().includes('null')) values.push({ weight: 1, arbitrary: fc.constant(null) });
    return fc.oneof(...values);
  }

  private typical(schema: Schema): fc.Arbitrary<Scalar> {
    const { type, format, enum: choices, minimum = 0, maximum = 100 } = schema;
    if (choices) return fc.constantFrom(...(choices as Scalar[]));
    if ([type].flat().includes('integer')) {
      return fc.oneof(fc.integer({ min: minimum, max: Math.min(maximum, 50) }), fc.constantFrom(minimum, maximum));
    }
    if (type === 'boolean') return fc.boolean();
    return format === 'date-time' ? TIMES : texts(schema);
  }

  private justBeyond({ type, minimum, maximum, minLength = 0, maxLength }: Schema): fc.Arbitrary<Scalar> {
    const beyond: Scalar[] = [[type].flat().includes('string') ? 7 : 'seven', null];
    if (minimum !== undefined) beyond.push(minimum - 1, minimum + 0.5);
    if (maximum !== undefined) beyond.push(maximum + 1);
    if (minLength > 0) beyond.push('x'.repeat(minLength - 1));
    if (maxLength !== undefined) beyond.push('x'.repeat(maxLength + 1), '😀'.repeat(Math.min(maxLength, 1000) + 1));
    return fc.constantFrom(...beyond);
  }
}

/** The text of a JSON object with these fields, a name twice included. */
export function toObjectText(fields: [name: string, json: string][]): string {
  return `{${fields.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join()}}`;
}

const TIMES: fc.Arbitrary<string> = fc.oneof(
  fc
    .date({ min: new Date('1970-01-01T00:00:00Z'), max: new Date('2026-01-01T00:00:00Z'), noInvalidDate: true })
    .map((date) => date.toISOString()),
  fc.constantFrom('1970-01-01T00:00:00Z', '2024-02-29T23:59:59.999999Z', '2025-06-30t12:00:00.5+14:00'),
);

const DETAILS: fc.Arbitrary<string> = fc
  .dictionary(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), fc.jsonValue({ maxDepth: 2 }), {
    maxKeys: 4,
  })
  .map((value) => JSON.stringify(value));

function texts({ minLength = 0, maxLength = 40 }: Schema): fc.Arbitrary<string> {
  const max = Math.min(maxLength, 40);
  return fc.oneof(
    {
      weight: 60,
      arbitrary: fc
        .constantFrom('deployment', 'api', 'live', 'a b', 'é部😀', "it's", '100%')
        .filter((text) => text.length <= max),
    },
    { weight: 60, arbitrary: fc.string({ unit: 'grapheme', minLength, maxLength: max }) },
    // A limit of 65,536 is tried seldom: lists of such events take all the time there is.
    { weight: maxLength > 1000 ? 1 : 10, arbitrary: fc.constantFrom('x'.repeat(minLength), 'y'.repeat(maxLength)) },
  );
}

function isPlainText({ type, format, enum: choices, maxLength }: Schema): boolean {
  return type === 'string' && format === undefined && choices === undefined && maxLength === undefined;
}

function isScalar(value: unknown): value is Scalar {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
