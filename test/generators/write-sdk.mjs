// Writes docs/sdk.md, or standard output, from the table and the clients that the generator suite drives.
import { readFileSync, writeFileSync } from 'node:fs';
import { URL } from 'node:url';
import { format, resolveConfig } from 'prettier';

const HERE = new URL('.', import.meta.url);
const read = (path) => readFileSync(new URL(path, HERE), 'utf8');

const table = JSON.parse(read('table.json'));
const { devDependencies: versions } = JSON.parse(read('../../package.json'));

const OPERATIONS = {
  compile: 'compiles with `--strict`',
  create: 'create',
  get: 'get',
  list: 'list, with lists of values',
  details: 'list by `details`',
  batch: 'batch',
  exportJson: 'export, `format=json`',
  exportNdjson: 'export as NDJSON',
  importJson: 'import of JSON',
};

const INTRODUCTION = `# Generated clients

<!-- Written by \`npm run sdk:write\` from test/generators; \`npm test\` generates, compiles and runs every client of this page. -->

The OpenAPI 3.1 document is at \`/openapi.json\` of a running eventdeck, and in [openapi.json](openapi.json). Seven generators
for TypeScript are tried against it with every \`npm test\`, at the versions below, which run on Node.js 20.19: each makes a
client that is compiled with \`tsc --strict\` and drives a running server. Every command expects the document in the working
directory:

\`\`\`sh
curl -o openapi.json http://127.0.0.1:8001/openapi.json
\`\`\`

Where the service has an \`API_TOKEN\`, give the client an \`Authorization: Bearer <token>\` header.

## What works

A number is a fault of the generator, with the way round below. All of them can do everything, one way or the other.
`;

const DETAILS = `## What to know

- **Filters by \`details\`** are an object, \`{ 'http.status': '504' }\`, sent as \`details[http.status]=504\`. A key with a dot in it
  stands in quotes: \`{ '"service.name"': 'api' }\`. A client that sends \`[object Object]\` uses \`detail\`, a list of texts:
  \`['http.status=504', '"service.name"=api']\`.
- **Export**: \`format=json\` gives typed events, all at once. Newline-delimited JSON, the default, is for files and for more
  events than fit into memory; read it as a stream.
- **Import** takes what an export gives. As JSON it is typed; send newline-delimited JSON or CSV with \`fetch\`.
- **Pages**: the next one is in the \`Link\` header, its \`cursor\` goes into the same call.
`;

function row(cells) {
  return `| ${cells.join(' | ')} |`;
}

function summary() {
  const header = ['', ...table.map(({ title, packages }) => `${title} ${versions[packages[0]]}`)];
  const lines = Object.entries(OPERATIONS).map(([operation, title]) => {
    const cells = table.map(({ operations }) =>
      operations[operation] === 'works' ? 'works' : `${faultsOf(operations).indexOf(operation) + 1}`,
    );
    return row([title, ...cells]);
  });
  return [row(header), row(header.map(() => '---')), ...lines].join('\n');
}

function faultsOf(operations) {
  return Object.keys(OPERATIONS).filter((operation) => operations[operation] !== 'works');
}

function section({ name, title, packages, command, files, operations }) {
  const faults = faultsOf(operations).map((operation, index) => {
    const { fault, around } = operations[operation];
    return `${index + 1}. ${OPERATIONS[operation]}: it ${fault.replace(/^its own/, 'is that its own')}. Instead: ${around}.`;
  });
  return [
    `## ${title}`,
    code(
      'sh',
      `npm install --save-dev ${packages.map((each) => `${each}@${versions[each]}`).join(' ')}\nnpx ${command.join(' ')}`,
    ),
    ...files.map((file) => `\`${file}\`:\n\n${code(languageOf(file), read(`clients/${file}`))}`),
    faults.length === 0 ? 'Nothing to get round.' : faults.join('\n'),
    code('ts', read(`clients/${name}.ts`)),
  ].join('\n\n');
}

function languageOf(file) {
  return file.endsWith('.ts') ? 'ts' : 'js';
}

function code(language, text) {
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``;
}

const HELPERS = `## The helpers of these examples

\`operations.ts\`:

${code('ts', read('clients/operations.ts'))}
`;

const page = [INTRODUCTION, summary(), DETAILS, ...table.map(section), HELPERS].join('\n\n');
const target = process.argv[2];
const text = await format(page, {
  ...(await resolveConfig(new URL('../../package.json', HERE).pathname)),
  parser: 'markdown',
});
if (target === undefined) process.stdout.write(text);
else writeFileSync(target, text);
