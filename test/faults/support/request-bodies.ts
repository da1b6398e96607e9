import * as fc from 'fast-check';
import type { Schema } from './openapi-document';
import { hugeBodies, nastyBodies, nastyTexts } from './nasty-values';
import { toObjectText, type SchemaValues } from './schema-values';

type Fields = [name: string, json: string][];

/** Bodies of a media type that its schema allows. */
export function validBody(values: SchemaValues, type: string, schema: Schema): fc.Arbitrary<Uint8Array> {
  return textBody(values, type, schema, false).map((text) => Buffer.from(text));
}

/** Bodies that are mostly refused, as a whole or in part. */
export function brokenBody(values: SchemaValues, type: string, schema: Schema): fc.Arbitrary<Uint8Array> {
  const valid = validBody(values, type, schema);
  return fc.oneof(
    { weight: 60, arbitrary: textBody(values, type, schema, true).map((text) => Buffer.from(text)) },
    { weight: 15, arbitrary: nastyBodies },
    { weight: 10, arbitrary: fc.tuple(valid, fc.nat()).map(([body, at]) => body.slice(0, at % (body.length + 1))) },
    { weight: 10, arbitrary: fc.tuple(valid, fc.nat(), fc.uint8Array({ maxLength: 4 })).map(insertBytes) },
    { weight: 1, arbitrary: hugeBodies },
  );
}

function insertBytes([body, at, bytes]: [Uint8Array, number, Uint8Array]): Uint8Array {
  const place = at % (body.length + 1);
  return Buffer.concat([body.subarray(0, place), bytes, body.subarray(place)]);
}

// The document's schema of a file is a string: what its lines are stands in its description only.
function textBody(values: SchemaValues, type: string, schema: Schema, isBroken: boolean): fc.Arbitrary<string> {
  const event = values.elementOf(undefined);
  switch (type) {
    case 'application/json':
      return isBroken ? values.wrongJson(schema) : values.json(schema);
    case 'application/x-ndjson': {
      const line = isBroken ? fc.oneof(values.json(event), values.wrongJson(event)) : values.json(event);
      return fc
        .tuple(fc.array(line, { maxLength: 4 }), fc.constantFrom('\n', '\r\n', '\n\n'))
        .map(([lines, end]) => lines.join(end));
    }
    case 'text/csv':
      return csv(values, event, isBroken);
    default:
      throw new Error(`no bodies of ${type} can be made yet`);
  }
}

function csv(values: SchemaValues, event: Schema, isBroken: boolean): fc.Arbitrary<string> {
  const records = fc.array(values.fields(event), { maxLength: 4 });
  const file = fc.tuple(records, fc.constantFrom('\n', '\r\n')).map(([events, end]) => toCsv(events, end));
  if (!isBroken) return file;
  return fc
    .tuple(file, fc.nat(), fc.oneof(nastyTexts, fc.constantFrom(',', '"', '\n', ',x')))
    .map(([text, at, part]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + part + text.slice(place);
    });
}

function toCsv(events: Fields[], end: string): string {
  const columns = ['event_type', 'severity', 'message', 'details', 'source', 'timestamp'];
  const rows = events.map((fields) => {
    const event = JSON.parse(toObjectText(fields)) as Record<string, unknown>;
    return columns.map((column) => toCell(event[column])).join();
  });
  return [columns.join(), ...rows].map((row) => row + end).join('');
}

function toCell(value: unknown): string {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return `"${text.replaceAll('"', '""')}"`;
}
