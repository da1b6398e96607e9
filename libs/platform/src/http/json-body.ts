import { AppError, invalid, MAX_ERRORS, type FieldError } from './app-error';

/** Levels of nesting read in any body; each field may allow fewer. */
const MAX_DEPTH = 64;

/** Keys that could reach an object's prototype wherever the value is merged later. */
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor']);

/** Characters of a name that an answer repeats. */
const MAX_NAME_LENGTH = 100;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Half a character: unlike what else is wrong, it makes the whole text unreadable. */
class LoneSurrogate extends Error {}

interface Place {
  value: unknown;
  depth: number;
  /** The path down to the value, newest first, so that a pointer is only made for an error. */
  key?: string | number;
  parent?: Place;
}

/** What an error calls the text that it refuses. */
const WHOLE_BODY = 'The request body';

/**
 * The value of a JSON body (RFC 8259), restricted to what can be stored and read back unchanged (RFC 7493, I-JSON).
 *
 * @param name what an error calls it; it starts a sentence
 * @throws AppError `malformed` for no JSON, invalid UTF-8 or a lone surrogate; `invalid` for NUL characters, keys
 *   that reach a prototype, more than 64 levels, integers of 2^53 and beyond and numbers beyond a double
 */
export function parseJsonBody(body: Uint8Array, name = WHOLE_BODY): unknown {
  const text = decodeUtf8(body, name);
  const value = parseJson(text, name);
  if (mayBreakRules(text)) checkTree(value, name);
  return value;
}

/** The text of UTF-8, without its byte order mark. @throws AppError `malformed` */
export function decodeUtf8(bytes: Uint8Array, name = WHOLE_BODY): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new AppError('malformed', `${name} is not valid UTF-8.`, { cause });
  }
}

/** The value of JSON, which `checkTree` should see next. @throws AppError `malformed` */
export function parseJson(text: string, name = WHOLE_BODY): unknown {
  if (text.trim() === '') throw new AppError('malformed', `${name} is empty; send JSON.`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    // The parser's own message quotes the body, which may hold secrets.
    throw new AppError('malformed', `${name} is not valid JSON.`, { cause });
  }
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
  const waiting: Place[] = [{ value: root, depth: 0 }];
  try {
    // A loop, not a recursion: a body of 1 MiB can nest half a million levels.
    for (let place = waiting.pop(); place && errors.length < MAX_ERRORS; place = waiting.pop()) {
      const problem = checkValue(place);
      if (problem !== undefined) errors.push({ detail: problem, pointer: pointer(place) });
      else pushChildren(place, waiting, errors);
    }
  } catch (cause) {
    if (cause instanceof LoneSurrogate)
      throw new AppError('malformed', `${name} holds a lone surrogate, which is no character.`);
    throw cause;
  }
  if (errors.length > 0) throw invalid(errors);
}

function checkValue({ value, depth }: Place): string | undefined {
  if (typeof value === 'string') return checkText(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return 'a number must not be beyond the range of a double (IEEE 754)';
    if (Number.isInteger(value) && !Number.isSafeInteger(value))
      return 'an integer must lie between -(2^53) and 2^53, exclusive';
  }
  if (typeof value === 'object' && value !== null && depth >= MAX_DEPTH)
    return `must not nest deeper than ${MAX_DEPTH} levels`;
  return undefined;
}

function checkText(text: string): string | undefined {
  if (!text.isWellFormed()) throw new LoneSurrogate();
  return text.includes('\0') ? 'must not contain the NUL character' : undefined;
}

function pushChildren(place: Place, waiting: Place[], errors: FieldError[]): void {
  const { value, depth } = place;
  if (Array.isArray(value)) {
    for (let key = value.length - 1; key >= 0; key--)
      waiting.push({ value: value[key], depth: depth + 1, key, parent: place });
  } else if (typeof value === 'object' && value !== null) {
    for (const key of Object.keys(value).reverse()) {
      if (errors.length >= MAX_ERRORS) return;
      const child = { value: (value as Record<string, unknown>)[key], depth: depth + 1, key, parent: place };
      const problem = FORBIDDEN_KEYS.has(key) ? `must not have the key ${key}` : checkText(key);
      if (problem === undefined) waiting.push(child);
      else errors.push({ detail: problem, pointer: pointer(place) });
    }
  }
}

function pointer(place: Place): string {
  const steps: string[] = [];
  for (let at: Place | undefined = place; at?.key !== undefined; at = at.parent) {
    steps.unshift(escapePointer(String(at.key)));
  }
  return ['#', ...steps].join('/');
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
