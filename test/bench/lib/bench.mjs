import { createDatabase, createPlainTable, databaseName } from './databases.mjs';
import { httpLoad } from './http-load.mjs';
import { largeTable } from './large-table.mjs';
import { migrate, startApp, startReference } from './processes.mjs';

/** What the rows measure with; everything that they make ends with them, but for what all of them share. */
export class Bench {
  /**
   * @param options of the command line
   * @param generator of `chooseGenerator`
   * @param folder for scratch files
   * @param run the cleanup of the whole run
   * @param cleanup of the row
   * @param shared what the rows share, by name
   */
  constructor({ options, generator, folder, run, cleanup = run, shared = new Map() }) {
    Object.assign(this, { options, generator, folder, run, cleanup, shared });
  }

  /** Runs `work` with a bench whose processes and databases end with it. */
  async scoped(work) {
    const cleanup = this.run.scope();
    try {
      return await work(new Bench({ ...this, cleanup }));
    } finally {
      await cleanup.run();
    }
  }

  /** A new database with the tables of the application. */
  async eventsDatabase() {
    return createDatabase(this.options.database, this.cleanup, databaseName(await this.template()));
  }

  /** A new database with the plain table of the references. */
  async plainDatabase() {
    const url = await createDatabase(this.options.database, this.cleanup);
    await createPlainTable(url);
    return url;
  }

  /** The database with the large table; it is loaded when first asked for. @returns `{ url, rows }` */
  largeTable() {
    return this.once('largeTable', () => largeTable(this.options, this.run));
  }

  app(databaseUrl, variables) {
    return startApp(databaseUrl, this.cleanup, variables);
  }

  reference(name, variables) {
    return startReference(name, variables, this.cleanup);
  }

  /** Answers a second. @throws when an answer is not a success */
  load(spec) {
    return httpLoad(this.generator, { seconds: this.options.seconds, ...spec });
  }

  /** Lets the server of `spec` compile its code before it is measured. */
  async warmUp(spec) {
    return this.load({ ...spec, seconds: Math.min(2, this.options.seconds) });
  }

  /** The database that the others are clones of. */
  template() {
    return this.once('template', async () => {
      const url = await createDatabase(this.options.database, this.run);
      await migrate(url);
      return url;
    });
  }

  once(name, make) {
    if (!this.shared.has(name)) this.shared.set(name, make());
    return this.shared.get(name);
  }
}
