/** Steps of a path into `details`: as deep as `details` may be. */
const MAX_PATH_STEPS = 32;

/** A key in quotes, a quote in it doubled; and a key as it stands, up to a dot, or up to a dot or an equals sign. */
const QUOTED = /"((?:[^"]|"")*)"/y;
const PLAIN = { path: /[^.]+/y, pair: /[^.=]+/y };

/**
 * The keys that a path names: `http.status`, or `"service.name".0` where a key has dots in it.
 *
 * @returns what is wrong with the path, if anything
 */
export function readPath(text: string): string[] | string {
  const read = readSteps(text, 'path');
  return typeof read === 'string' ? read : read.steps;
}

/**
 * A path and a value, with `=` between them: `http.status=504`.
 *
 * @returns what is wrong with the text, if anything
 */
export function readPair(text: string): [path: string[], value: string] | string {
  const read = readSteps(text, 'pair');
  if (typeof read === 'string') return read;
  if (read.end === text.length) return 'must be a path, = and a value, such as http.status=504';
  return [read.steps, text.slice(read.end + 1)];
}

function readSteps(text: string, kind: keyof typeof PLAIN): { steps: string[]; end: number } | string {
  if (text.includes('\0')) return 'must not contain the NUL character';
  const steps: string[] = [];
  for (let place = 0; ; place++) {
    const isQuoted = text[place] === '"';
    const step = isQuoted ? QUOTED : PLAIN[kind];
    step.lastIndex = place;
    const found = step.exec(text);
    if (!found) return isQuoted ? 'must close the quote of a key' : 'must name a key before and after each dot';
    steps.push(found[1]?.replaceAll('""', '"') ?? found[0]);
    if (steps.length > MAX_PATH_STEPS) return `must not go deeper than ${MAX_PATH_STEPS} levels`;
    place = step.lastIndex;
    if (place === text.length || (kind === 'pair' && text[place] === '=')) return { steps, end: place };
    if (text[place] !== '.') return 'must have a dot behind the quote of a key';
  }
}
