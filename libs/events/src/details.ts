/** Levels of nesting: the outer object is level one, each object or array inside adds one. */
const MAX_LEVELS = 32;

/** Bytes of the compact JSON, in UTF-8. */
const MAX_BYTES = 256 * 1024;

/** What is wrong with `details`, or `undefined`. */
export function checkDetails(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be an object or null';
  if (exceedsLevels(value, MAX_LEVELS)) return `must not nest deeper than ${MAX_LEVELS} levels`;
  return Buffer.byteLength(JSON.stringify(value)) > MAX_BYTES
    ? `must not be larger than ${MAX_BYTES / 1024} KiB as JSON`
    : undefined;
}

function exceedsLevels(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((child) => exceedsLevels(child, levels - 1));
}
