import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { json } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { apiToken, CommandError, formatOf, MEDIA_TYPES, readCommandLine, run } from './command-line.mjs';
import { answerTo, openRequest, reasonOf } from './service-request.mjs';
import { TransferProgress } from './transfer-progress.mjs';

const HELP = `Stores the events of a file.

  npm run events:import -- FILE [options]

FILE is what an export wrote, or the like; - is standard input. What is wrong with one event rejects that one only.

  --format FORMAT   ndjson, json or csv; by default as the name of the file ends
  --url URL         where the service is; by default http://127.0.0.1:8001
  --help            this text

A service that wants a token gets API_TOKEN, from the environment or a .env file here.
Ends with 0 when every event is stored, 1 when one is not, 2 when the command line is wrong.`;

/** Rejected events that are shown. */
const SHOWN_ERRORS = 10;

await run(async (args) => {
  const { help, file, format: told, url } = readCommandLine(args, {});
  if (help) {
    console.log(HELP);
    return 0;
  }
  if (file === undefined) throw new CommandError('Which file? Try --help.', 2);
  const format = formatOf(file, told);
  const size = await sizeOf(file);
  const progress = new TransferProgress(size ?? 0);
  try {
    return report(await upload(file, size, { format, url, meter: progress.meter('bytes') }), progress);
  } finally {
    progress.stop();
  }
});

async function sizeOf(file) {
  if (file === '-') return undefined;
  try {
    const status = await stat(file);
    if (!status.isDirectory()) return status.isFile() ? status.size : undefined;
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${reasonOf(error)}`);
  }
  throw new CommandError(`${file} is a folder.`);
}

async function upload(file, size, { format, url, meter }) {
  const headers = {
    'content-type': MEDIA_TYPES[format],
    ...(size === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': size }),
  };
  const request = openRequest(url, 'api/events/import', { method: 'POST', token: apiToken(), headers });
  const source = file === '-' ? process.stdin : createReadStream(file);
  let unreadable;
  source.once('error', (error) => (unreadable = error));
  // What goes wrong with the request is told by its answer, which may come before everything is sent.
  const sent = pipeline(source, meter, request).catch(() => undefined);
  try {
    return await readResult(await answerTo(request, url));
  } catch (error) {
    throw unreadable ? new CommandError(`${file} cannot be read: ${reasonOf(unreadable)}`) : error;
  } finally {
    source.destroy();
    await sent;
  }
}

async function readResult(response) {
  try {
    return await json(response);
  } catch (error) {
    throw new CommandError(`The answer broke off, what is stored is not known: ${reasonOf(error)}`);
  }
}

function report({ imported, rejected, errors }, progress) {
  progress.stop();
  const [stored, refused] = [imported, rejected].map((count) => count.toLocaleString('en'));
  console.log(`${stored} events imported, ${refused} rejected.`);
  for (const { line, status, detail } of errors.slice(0, SHOWN_ERRORS)) {
    console.error(`  line ${line}: ${detail} (${status})`);
  }
  if (rejected > SHOWN_ERRORS) console.error(`  and ${(rejected - SHOWN_ERRORS).toLocaleString('en')} more`);
  return rejected > 0 ? 1 : 0;
}
