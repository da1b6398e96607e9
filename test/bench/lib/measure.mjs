import { log } from './log.mjs';

/** The median; of an even number of values the mean of the two in the middle. */
export function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Measures the targets in turn, so that what the machine does meanwhile hits all alike.
 *
 * @param targets by name: a function that measures once
 * @returns by name: the measured values, one of each round
 */
export async function takeTurns(rounds, targets) {
  const values = Object.fromEntries(Object.keys(targets).map((name) => [name, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [name, measure] of Object.entries(targets)) {
      const value = await measure();
      values[name].push(value);
      log(`  round ${round}/${rounds}  ${name}: ${formatNumber(value)}`);
    }
  }
  return values;
}

/**
 * A line of the table.
 *
 * @param line `ours` and `reference` are the measured values; `atLeast` or `atMost` limits the ratio of their medians,
 *   and without either the line is for information
 */
export function compare({ against, unit, ours, reference, atLeast, atMost }) {
  const ratio = median(ours) / median(reference);
  const holds = (atLeast === undefined || ratio >= atLeast) && (atMost === undefined || ratio <= atMost);
  const isGated = atLeast !== undefined || atMost !== undefined;
  return {
    against,
    unit,
    ours,
    reference,
    ratio,
    atLeast,
    atMost,
    verdict: !isGated ? 'for information' : holds ? 'holds' : 'FALLS SHORT',
  };
}

/** The first and the third quartile: the middle half of the values lies between them. */
export function quartilesOf(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return [0.25, 0.75].map((share) => {
    const place = share * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
    return low + (high - low) * (place % 1);
  });
}

/** At least three digits that count, and thousands divided: `19,700`, `0.712`. */
export function formatNumber(value) {
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  return Number(value.toPrecision(3)).toString();
}
