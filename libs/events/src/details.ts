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

// Written out only where that could matter: it takes ten times as long.
function exceedsBytes(value: object): boolean {
  if (JSON.stringify(value).length * MAX_GROWTH <= MAX_BYTES) return false;
  return Buffer.byteLength(JSON.stringify(value, writtenOut)) > MAX_BYTES;
}

function exceedsLevels(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const child of Object.values(value)) if (exceedsLevels(child, levels - 1)) return true;
  return false;
}

/** How many bytes a character of JSON can become: `5e-324` is read back as 324 digits and more. */
const MAX_GROWTH = 64;

/** Significant digits of a double at most. */
const DIGITS = 17;

// PostgreSQL writes numbers out in full, and JavaScript the smallest with an exponent: 1e-308 is read back as 310 digits.
function writtenOut(_key: string, value: unknown): unknown {
  if (typeof value !== 'number' || value === 0 || Math.abs(value) >= 1e-6) return value;
  return '0'.repeat(Math.ceil(-Math.log10(Math.abs(value))) + DIGITS);
}
