import { createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { URLSearchParams } from 'node:url';
import { apiToken, CommandError, formatOf, readCommandLine, run } from './command-line.mjs';
import { eventCounter } from './event-counter.mjs';
import { answerTo, openRequest, reasonOf } from './service-request.mjs';
import { TransferProgress } from './transfer-progress.mjs';

const HELP = `Downloads events into a file.

  npm run events:export -- [FILE] [options]

FILE gets its events while it is called FILE.part; it has its name when it is whole. Without one, or as -, the events go
to standard output (npm run --silent keeps npm's own lines out of it).

  --format FORMAT   ndjson, json or csv; by default as the name of the file ends, else ndjson
  --url URL         where the service is; by default http://127.0.0.1:8001
  --help            this text

Which events, as for GET /api/events/export; those of lists may repeat:
  --since, --until TIME       from and before a time, or an age such as 15m, 24h or 7d
  --event_type, --source TEXT, --severity SEVERITY
  --min_severity SEVERITY     at least this bad
  --q WORDS                   words of the message
  --details.PATH VALUE        a value in details, such as --details.http.status 500
  --detail PATH=VALUE         the same, such as --detail http.status=500 or --detail '"service.name"=api'
  --sort timestamp            the oldest first, the default; --sort=-timestamp is the newest first

A service that wants a token gets API_TOKEN, from the environment or a .env file here.
Ends with 0 when the file is whole, 1 when it is not, 2 when the command line is wrong.`;

const FILTERS = ['since', 'until', 'event_type', 'severity', 'min_severity', 'source', 'q', 'detail'];
const PARAMETER = { type: 'string', multiple: true };

await run(async (args) => {
  const { help, file = '-', format: told, url, own } = readCommandLine(args, parametersIn(args));
  if (help) {
    console.log(HELP);
    return 0;
  }
  const format = formatOf(file, told, 'ndjson');
  const { sort = [], ...filters } = own;
  const token = apiToken();
  const query = toQuery({ ...filters, sort, format: [format] });
  const response = await answerTo(send(openRequest(url, `api/events/export?${query}`, { token })), url);
  const progress = new TransferProgress(await estimate(url, filters, token));
  try {
    await save(response, file, progress.meter('events', eventCounter(format)));
  } finally {
    progress.stop();
  }
  console.error(`${progress.state}${file === '-' ? '' : ` in ${file}`}`);
  return 0;
});

// Whatever a path into details is called.
function parametersIn(args) {
  const paths = args.map((arg) => /^--(details[.[][^=]+)/.exec(arg)?.[1]).filter((name) => name !== undefined);
  return Object.fromEntries([...FILTERS, 'sort', ...paths].map((name) => [name, PARAMETER]));
}

function toQuery(parameters) {
  return new URLSearchParams(
    Object.entries(parameters).flatMap(([name, values]) => values.map((text) => [name, text])),
  );
}

// For the bar only: an export needs none.
async function estimate(url, filters, token) {
  if (!process.stderr.isTTY) return 0;
  try {
    const query = toQuery({ ...filters, limit: ['1'], count: ['estimated'] });
    const response = await answerTo(send(openRequest(url, `api/events?${query}`, { token })), url);
    response.resume();
    return Number(response.headers['x-total-count'] ?? 0);
  } catch {
    return 0;
  }
}

function send(request) {
  request.end();
  return request;
}

async function save(response, file, meter) {
  if (file === '-') {
    await transfer(response, meter, process.stdout, 'what came is not whole');
    return;
  }
  const part = `${file}.part`;
  await transfer(response, meter, createWriteStream(part), `${part} is not whole`);
  await rename(part, file);
}

async function transfer(response, meter, target, consequence) {
  try {
    await pipeline(response, meter, target);
  } catch (error) {
    throw new CommandError(`The transfer broke off, ${consequence}: ${reasonOf(error)}`);
  }
}
