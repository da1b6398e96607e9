import { AppError, invalid, MAX_ERRORS, type FieldError } from './app-error';

/** Levels of nesting read in any body; each field may allow fewer. */
const MAX_DEPTH = 64;

/** Keys that could reach an object's prototype wherever the value is merged later. */
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor']);

/** Characters of a name that an answer repeats. */
const MAX_NAME_LENGTH = 100;

/** Bytes that a value of JSON takes in memory, about: an empty object 56 and its place 8, one with a number for its name 200. */
export const VALUE_BYTES = 64;

const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Half a character: unlike what else is wrong, it makes the whole text unreadable. */
class LoneSurrogate extends Error {}

/** A key of an object, or a place in an array. */
type Step = string | number;

/** What an error calls the text that it refuses. */
const WHOLE_BODY = 'The request body';

/**
 * The value of a JSON body (RFC 8259), restricted to what I-JSON (RFC 7493) can carry. Where that allows a choice, it is
 * ECMAScript's: of a name that stands twice the last value counts, digits beyond a double are rounded to the nearest one,
 * and -0 is written as 0.
 *
 * @param name what an error calls it; it starts a sentence
 * @throws AppError `malformed` for no JSON, invalid UTF-8 or a lone surrogate; `invalid` for NUL characters, keys
 *   that reach a prototype, more than 64 levels, integers of 2^53 and beyond and numbers too large or too small for a
 *   double
 */
export function parseJsonBody(body: Uint8Array, name = WHOLE_BODY): unknown {
  const text = decodeUtf8(body, name);
  const value = parseJson(text, name);
  if (mayBreakRules(text)) checkTree(value, name);
  return value;
}

/**
 * Bytes that the values of JSON take once they are parsed, beside their texts: each comma stands for one, and
 * each bracket that opens what is not empty. Those in texts are counted too.
 */
export function costOfValues(json: Uint8Array): number {
  let values = 0;
  // An iterator would take three times as long.
  for (let at = 0, end = json.length; at < end; at++) {
    const byte = json[at];
    if (byte === COMMA) values++;
    // In ASCII, of both kinds, a closing bracket comes two places after its opening one.
    else if ((byte === OPENING_BRACKET || byte === OPENING_BRACE) && json[at + 1] !== byte + 2) values++;
  }
  return values * VALUE_BYTES;
}

/** The text of UTF-8, without its byte order mark. @throws AppError `malformed` */
export function decodeUtf8(bytes: Uint8Array, name = WHOLE_BODY): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new AppError('malformed', `${name} is not valid UTF-8.`, { cause });
  }
}

/**
 * The value of JSON, which `checkTree` should see next: a number too small for a double is infinite there, as one too
 * large is, and not 0.
 *
 * @throws AppError `malformed`
 */
export function parseJson(text: string, name = WHOLE_BODY): unknown {
  if (text.trim() === '') throw new AppError('malformed', `${name} is empty; send JSON.`);
  try {
    return JSON.parse(MAY_UNDERFLOW.test(text) ? text.replace(TOKENS, markUnderflow) : text);
  } catch (cause) {
    // The parser's own message quotes the body, which may hold secrets.
    throw new AppError('malformed', `${name} is not valid JSON.`, { cause });
  }
}

/** What any number has that is too small for a double: such an exponent, or so many zeros behind its point. */
const MAY_UNDERFLOW = /\d[eE]-\d|\.0{99}/;

/**
 * The texts and the numbers of JSON, and what is nearly one: a text without an end is taken whole, or each of its quotes
 * would be tried in turn, in quadratic time.
 */
const TOKENS = /"[^"\\]*(?:\\[^][^"\\]*)*"?|-?\d[\d.eE+-]*/g;

/** A number of JSON (RFC 8259, section 6) that is not zero as it is written. */
const NOT_ZERO = /^-?(?=[0.]*[1-9])(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function markUnderflow(token: string): string {
  return Number(token) === 0 && NOT_ZERO.test(token) ? '1e999' : token;
}

/** What could stand for something that is refused: escapes, keys of prototypes, and long or exponential numbers. */
const SUSPICIOUS = /\\u|__proto__|constructor|\d{16}|\d[eE][+-]?\d/;

/** So many brackets at most cannot nest too deep. */
const BRACKETS = new RegExp(`^(?:[^[{]*[[{]){${MAX_DEPTH + 1}}`);

// Most bodies are harmless, and their text says so in a fraction of the time that a walk through their values takes.
function mayBreakRules(text: string): boolean {
  return SUSPICIOUS.test(text) || BRACKETS.test(text);
}

/**
 * Refuses what `parseJsonBody` refuses in JSON that was parsed already.
 *
 * @throws AppError `malformed` for a lone surrogate; else `invalid`
 */
export function checkTree(root: unknown, name = WHOLE_BODY): void {
  const errors: FieldError[] = [];
  try {
    checkValue(root, [], errors);
  } catch (cause) {
    if (cause instanceof LoneSurrogate)
      throw new AppError('malformed', `${name} holds a lone surrogate, which is no character.`);
    throw cause;
  }
  if (errors.length > 0) throw invalid(errors);
}

// Calls itself for each level, and what has too many levels is refused at the first one too many.
function checkValue(value: unknown, path: Step[], errors: FieldError[]): void {
  if (typeof value === 'object' && value !== null) {
    if (path.length >= MAX_DEPTH) refuse(`must not nest deeper than ${MAX_DEPTH} levels`, path, errors);
    else if (Array.isArray(value)) checkArray(value, path, errors);
    else checkObject(value as Record<string, unknown>, path, errors);
  } else {
    const problem = typeof value === 'string' ? checkText(value) : checkNumber(value);
    if (problem !== undefined) refuse(problem, path, errors);
  }
}

function checkArray(values: readonly unknown[], path: Step[], errors: FieldError[]): void {
  for (let place = 0; place < values.length && errors.length < MAX_ERRORS; place++) {
    path.push(place);
    checkValue(values[place], path, errors);
    path.pop();
  }
}

function checkObject(members: Record<string, unknown>, path: Step[], errors: FieldError[]): void {
  for (const key in members) {
    if (errors.length >= MAX_ERRORS) return;
    const problem = FORBIDDEN_KEYS.has(key) ? `must not have the key ${key}` : checkText(key);
    if (problem !== undefined) {
      refuse(problem, path, errors);
      continue;
    }
    path.push(key);
    checkValue(members[key], path, errors);
    path.pop();
  }
}

function checkNumber(value: unknown): string | undefined {
  if (typeof value !== 'number') return undefined;
  if (!Number.isFinite(value)) return 'a number must be within the range of a double (IEEE 754)';
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    return 'an integer must lie between -(2^53) and 2^53, exclusive';
  return undefined;
}

function refuse(detail: string, path: readonly Step[], errors: FieldError[]): void {
  errors.push({ detail, pointer: ['#', ...path.map((step) => escapePointer(String(step)))].join('/') });
}

function checkText(text: string): string | undefined {
  if (!text.isWellFormed()) throw new LoneSurrogate();
  return text.includes('\0') ? 'must not contain the NUL character' : undefined;
}

/**
 * One step of a JSON Pointer (RFC 6901, sections 3 and 6: the URI fragment form). A key too long to be meant is cut, or
 * a body of one such key would come back three times as long.
 */
export function escapePointer(step: string): string {
  return encodeURIComponent(shorten(step).replaceAll('~', '~0').replaceAll('/', '~1'));
}

/** A name as it stands in an answer: its first 100 characters. */
export function shorten(name: string): string {
  const characters = Array.from(name.slice(0, 2 * MAX_NAME_LENGTH + 1));
  return characters.length > MAX_NAME_LENGTH ? `${characters.slice(0, MAX_NAME_LENGTH).join('')}…` : name;
}
