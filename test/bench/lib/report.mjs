import { cpus, totalmem } from 'node:os';
import { formatNumber, median } from './measure.mjs';

const HEADER = ['work', 'against', 'ours', 'reference', 'ratio', 'needed', 'verdict'];

const BUILDS_HEADER = ['work', 'build before', 'this build', 'ratio', 'middle half', 'verdict'];

/** What the numbers were measured on and with. */
export function describeMachine(versions) {
  const processors = cpus();
  return [
    ['date', `${new Date().toISOString().slice(0, 10)}`],
    ['processor', `${processors[0]?.model.trim() ?? 'unknown'}, ${processors.length} cores`],
    ['memory', `${Math.round(totalmem() / 2 ** 30)} GiB`],
    ...Object.entries(versions),
  ];
}

/** The cells of the table: one line of each comparison. */
export function tableOf(results) {
  return [
    HEADER,
    ...results.flatMap(({ title, lines }) => lines.map((line, index) => cells(index === 0 ? title : '', line))),
  ];
}

/** The cells of the table of two builds. */
export function tableOfBuilds(results) {
  return [
    BUILDS_HEADER,
    ...results.map(({ title, unit, ours, before, ratio, quartiles, verdict }) => [
      title,
      ...(ours ? [spread(before, unit), spread(ours, unit)] : ['', '']),
      ratio === undefined ? '' : ratio.toFixed(3),
      quartiles ? quartiles.map((value) => value.toFixed(3)).join(' to ') : '',
      verdict,
    ]),
  ];
}

/** The table for a terminal. */
export function plainText(table) {
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The table, and everything else of `docs/benchmarks.md`, not yet formatted. */
export function markdown({ table, machine, options, rows }) {
  const row = (cellTexts) => `| ${cellTexts.join(' | ')} |`;
  return `# Benchmarks

Written by \`npm run bench -- --write\`. Ours and its reference take turns in the same run, on the same machine, which also
runs PostgreSQL and the load generator: only the ratios say something about another machine.

${[row(['', '']), row(['---', '---']), ...machine.map(row)].join('\n')}

Medians of ${options.rounds} rounds of ${options.seconds} s each, with the lowest and the highest in brackets; the large table holds
${rows.toLocaleString('en-US')} events.
eventdeck is one process with every feature on and all settings at their defaults, with \`CACHE=memory\` (\`CACHE=off\` where it says
"cache cold"). "Same table" has the same columns, indexes, rules and triggers in a database of its own; "plain table" has
three b-trees and nothing else.

${[row(table[0]), row(table[0].map(() => '---')), ...table.slice(1).map(row)].join('\n')}
`;
}

function cells(title, line) {
  const { against, unit, ours, reference, ratio, atLeast, atMost, verdict } = line;
  const needed =
    atLeast !== undefined ? `≥ ${formatNumber(atLeast)}` : atMost !== undefined ? `≤ ${formatNumber(atMost)}` : '';
  const values = ours ? [spread(ours, unit), spread(reference, unit), formatNumber(ratio)] : ['', '', ''];
  return [title, against, ...values, needed, verdict];
}

function spread(values, unit) {
  const middle = `${formatNumber(median(values))} ${unit}`;
  if (values.length === 1) return middle;
  return `${middle} (${formatNumber(Math.min(...values))} to ${formatNumber(Math.max(...values))})`;
}
