/** A seeded generator of numbers from 0 to below 1 (mulberry32): the same seed gives the same run. */
export function seededRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An integer from `min` to `max`, both inclusive. */
export function integerFrom(random, min, max) {
  return min + Math.floor(random() * (max - min + 1));
}

/** Any one of `values`. */
export function oneOf(random, values) {
  return values[Math.floor(random() * values.length)];
}

/** One of `values`, where earlier ones are more frequent: a half of all from the first quarter. */
export function skewedOneOf(random, values) {
  return values[Math.floor(random() ** 2 * values.length)];
}
