import { clearInterval, setInterval } from 'node:timers';
import { countEvents } from '../lib/databases.mjs';
import { log } from '../lib/log.mjs';
import { compare, formatNumber, median } from '../lib/measure.mjs';
import { residentBytes } from '../lib/processes.mjs';
import { POST_REQUESTS, requireStored } from './post.mjs';

const CONNECTIONS = 64;
const LIMIT_MIB = 200;
const MIB = 1024 * 1024;

/** Milliseconds between two samples. */
const SAMPLE_MS = 250;

/** Seconds of one run of the load generator, and of all of them together at most. */
const SLICE_SECONDS = 5;
const MAX_SECONDS = 300;

/** What counts as flat: growth of a tenth, or of so many MiB. */
const FLAT = { share: 0.1, mib: 20 };

export const memory = {
  id: 'memory',
  title: 'memory',
  async measure(bench) {
    const database = await bench.eventsDatabase();
    const app = await bench.app(database);
    if (residentBytes(app.pid) === undefined) return [{ against: 'no /proc here to read it from', verdict: 'skipped' }];
    const before = await countEvents(database);
    const { samples, posted } = await postAll(bench, app);
    requireStored((await countEvents(database)) - before, posted);
    log(`  ${formatNumber(posted)} posts, highest ${formatNumber(Math.max(...samples))} MiB`);
    return [...lines(samples, posted), ...shortfall(posted, bench.options.posts)];
  },
};

function lines(samples, posted) {
  const quarter = samples.length / 4;
  const second = samples.slice(Math.floor(quarter), Math.ceil(quarter * 2));
  // Not the last sample alone: where the garbage collector just is in its cycle makes tens of MiB.
  const last = samples.slice(Math.floor(quarter * 3));
  const posts = posted.toLocaleString('en-US');
  return [
    compare({
      against: `the limit, last quarter of ${posts} posts`,
      unit: 'MiB',
      ours: last,
      reference: [LIMIT_MIB],
      atMost: 1,
    }),
    compare({
      against: 'flat: its second quarter',
      unit: 'MiB',
      ours: last,
      reference: second,
      atMost: Math.max(1 + FLAT.share, 1 + FLAT.mib / median(second)),
    }),
  ];
}

function shortfall(posted, wanted) {
  if (posted >= wanted) return [];
  return [{ against: `${wanted.toLocaleString('en-US')} posts within ${MAX_SECONDS} s`, verdict: 'FALLS SHORT' }];
}

/** Posts until so many are stored as asked for, or time is up. @returns resident memory in MiB, and posts */
async function postAll(bench, app) {
  const samples = [];
  const sample = () => samples.push(residentBytes(app.pid) / MIB);
  const sampling = setInterval(sample, SAMPLE_MS);
  let posted = 0;
  try {
    for (let seconds = 0; seconds < MAX_SECONDS && posted < bench.options.posts; seconds += SLICE_SECONDS) {
      const spec = { url: app.url, requests: POST_REQUESTS, connections: CONNECTIONS, seconds: SLICE_SECONDS };
      posted += (await bench.load(spec)).answers;
      log(`  ${formatNumber(posted)} posts, ${formatNumber(samples.at(-1))} MiB`);
    }
    sample();
  } finally {
    clearInterval(sampling);
  }
  return { samples, posted };
}
