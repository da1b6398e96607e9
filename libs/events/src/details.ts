/** Levels of nesting: the outer object is level one, each object or array inside adds one. */
const MAX_LEVELS = 32;

/** Bytes of the compact JSON, in UTF-8, as it is read back. */
const MAX_BYTES = 256 * 1024;

/** What is wrong with `details`, or `undefined`. */
export function checkDetails(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be an object or null';
  if (exceedsLevels(value, MAX_LEVELS)) return `must not nest deeper than ${MAX_LEVELS} levels`;
  return exceedsBytes(value) ? `must not be larger than ${MAX_BYTES / 1024} KiB as JSON` : undefined;
}

// Almost always the text as JavaScript writes it tells.
function exceedsBytes(value: object): boolean {
  const json = JSON.stringify(value);
  if (json.length * MAX_GROWTH <= MAX_BYTES) return false;
  const bytes = Buffer.byteLength(json);
  if (bytes > MAX_BYTES || !SMALL_NUMBER.test(json)) return bytes > MAX_BYTES;
  return bytes + growthOf(value) > MAX_BYTES;
}

function exceedsLevels(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) return value.some((child: unknown) => exceedsLevels(child, levels - 1));
  for (const key in value) if (exceedsLevels((value as Record<string, unknown>)[key], levels - 1)) return true;
  return false;
}

/** How many bytes a character of JSON can become: `5e-324` is read back as 324 digits and more. */
const MAX_GROWTH = 64;

/** A number that JavaScript writes with an exponent and PostgreSQL in full, or a text that looks like one. */
const SMALL_NUMBER = /\de-\d/;

/** Significant digits of a double at most. */
const DIGITS = 17;

// PostgreSQL writes numbers out in full, and JavaScript the smallest with an exponent: 1e-308 is read back as 310 digits.
function growthOf(value: unknown): number {
  if (typeof value === 'number') {
    if (value === 0 || Math.abs(value) >= 1e-6) return 0;
    return Math.ceil(-Math.log10(Math.abs(value))) + DIGITS + 2 - String(value).length;
  }
  if (typeof value !== 'object' || value === null) return 0;
  let growth = 0;
  for (const child of Array.isArray(value) ? value : Object.values(value)) growth += growthOf(child as unknown);
  return growth;
}
