/** `docs/query-plans.md`, not yet formatted. */
export function planDocument({ rows, version, plans }) {
  return `# Query plans

Written by \`npm run bench:plans\`: the statements that the application really sends for each request, over
${rows.toLocaleString('en-US')} events in PostgreSQL ${version}, with the cache off. A statement with a name is prepared, and also recorded with
the plan for any values.

| request | statements | ms | scans the table |
| --- | --- | --- | --- |
${plans.map(summary).join('\n')}

${plans.map(section).join('\n')}`;
}

/** What became of a request, in few words. */
export function verdictOf({ problem, statements, mayScan }) {
  if (problem) return problem;
  if (!statements.some(({ scans }) => scans)) return 'no';
  return mayScan ? `yes: ${mayScan}` : 'YES';
}

function summary(plan) {
  const { name, method, path, statements } = plan;
  const ms = statements.reduce((sum, statement) => sum + statement.ms, 0).toFixed(1);
  return `| ${name}: \`${method} ${path}\` | ${statements.length} | ${ms} | ${verdictOf(plan)} |`;
}

function section({ name, method, path, after, statements }) {
  const pages = after > 0 ? `, page ${after + 1}` : '';
  return `## ${name}

\`${method} ${path}\`${pages}

${statements.map(statementText).join('\n')}`;
}

function statementText({ text, values, plan, genericPlan }) {
  return [
    fenced('sql', withoutIndent(text)),
    values.length > 0 ? `with ${values.map((value) => `\`${JSON.stringify(value)}\``).join(', ')}\n` : '',
    fenced('text', plan),
    genericPlan ? `for any values:\n\n${fenced('text', genericPlan)}` : '',
  ].join('\n');
}

function fenced(language, text) {
  return `\`\`\`${language}\n${text}\n\`\`\`\n`;
}

function withoutIndent(text) {
  const lines = text
    .replace(/^\s*\n/, '')
    .trimEnd()
    .split('\n');
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length);
  return lines.map((line) => line.slice(Math.min(...indents))).join('\n');
}
