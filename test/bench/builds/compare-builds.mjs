import { CpuMeter } from '../lib/cpu-meter.mjs';
import { checkpoint, createDatabase, databaseName } from '../lib/databases.mjs';
import { httpLoad } from '../lib/http-load.mjs';
import { largeTable } from '../lib/large-table.mjs';
import { formatNumber, median, quartilesOf } from '../lib/measure.mjs';
import { log } from '../lib/log.mjs';
import { buildIn, migrate, residentBytes, startApp } from '../lib/processes.mjs';

/** How many times dearer is no noise any more. */
const BAR = 1.1;

/** Seconds until V8 has compiled what is measured, however short a measurement is. */
const WARM_UP_SECONDS = 5;

const UNITS = { cpu: 'µs', memory: 'MiB' };

/** Measures works with two builds at once, each with databases of its own, in turn. */
export class BuildComparison {
  /**
   * @param options of the command line
   * @param generator of `chooseGenerator`
   * @param folders of the two builds, by name: `before` and `ours`
   * @param run the cleanup of the whole run
   */
  constructor({ options, generator, folders, run }) {
    this.options = options;
    this.generator = generator;
    this.run = run;
    this.builds = Object.entries(folders).map(([name, folder]) => ({ name, ...buildIn(folder), shared: {} }));
  }

  /** @returns the values of each round by the name of the build, the median of their ratios, and what it means */
  async compare({ title, connections, figure, isLarge = false, variables, prepare }) {
    const cleanup = this.run.scope();
    try {
      const subjects = {};
      for (const build of this.builds) {
        const { url, rows } = isLarge ? await this.largeTable(build) : await this.emptyTable(build, cleanup);
        const app = await startApp(url, cleanup, variables, [], build);
        const spec = { url: app.url, requests: await prepare(app, rows), connections };
        await this.load(spec, WARM_UP_SECONDS);
        subjects[build.name] = { url, app, spec, meter: new CpuMeter(url, app.pid) };
      }
      const values = await this.takeTurns(figure, subjects);
      return { title, unit: UNITS[figure], ...values, ...judge(values) };
    } finally {
      await cleanup.run();
    }
  }

  // Who begins changes with each round: what the first leaves behind, to be written back for one, hits both alike.
  async takeTurns(figure, subjects) {
    const values = { before: [], ours: [] };
    for (let round = 1; round <= this.options.rounds; round += 1) {
      const names = round % 2 === 1 ? ['before', 'ours'] : ['ours', 'before'];
      for (const name of names) values[name].push(await this.measure(figure, subjects[name]));
      const [before, ours] = [values.before.at(-1), values.ours.at(-1)];
      const both = `before ${formatNumber(before)}, ours ${formatNumber(ours)} ${UNITS[figure]}`;
      log(`  round ${round}/${this.options.rounds}  ${both}, ratio ${(ours / before).toFixed(3)}`);
    }
    return values;
  }

  async measure(figure, { url, app, spec, meter }) {
    await checkpoint(url);
    await meter.lap();
    const { answers } = await this.load(spec, this.options.seconds);
    return figure === 'memory' ? residentBytes(app.pid) / 2 ** 20 : (await meter.lap()) / answers;
  }

  load(spec, seconds) {
    return httpLoad(this.generator, { seconds, ...spec });
  }

  largeTable(build) {
    build.shared.large ??= largeTable(this.options, this.run, build);
    return build.shared.large;
  }

  async emptyTable(build, cleanup) {
    build.shared.template ??= this.template(build);
    const template = databaseName(await build.shared.template);
    return { url: await createDatabase(this.options.database, cleanup, template), rows: 0 };
  }

  async template(build) {
    const url = await createDatabase(this.options.database, this.run);
    await migrate(url, build);
    return url;
  }
}

/** Whether what is dearer is so beyond noise: when even the cheap quarter of the rounds is over the bar. */
export function judge({ before, ours }) {
  const ratios = ours.map((value, round) => value / before[round]);
  const quartiles = quartilesOf(ratios);
  const verdict = quartiles[0] > BAR ? 'WORSE' : quartiles[1] < 1 / BAR ? 'better' : 'holds';
  return { ratio: median(ratios), quartiles, verdict };
}
