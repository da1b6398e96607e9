import { NAME, openCluster } from './cluster';
import { EmbeddedServer } from './server';

export { EmbeddedPostgresError } from './error';

/** How the embedded PostgreSQL is started. */
export interface EmbeddedPostgresOptions {
  /**
   * Folder that keeps the cluster between starts, created when missing: `cluster` (PostgreSQL's own data folder,
   * 0700), `postgresql.log` and `postgresql.log.old` (about 10 MB each at most).
   */
  dataDir: string;
  /** Receives one-line notices an operator should see: the account it runs as, another folder chosen, a restart. */
  log: (message: string) => void;
  /**
   * Server settings such as `{ max_connections: '200', fsync: 'off' }`. They hold from the start of a server on: one
   * that still runs keeps its own. Address, port and log destination cannot be set.
   */
  settings?: Record<string, string>;
}

/**
 * A PostgreSQL of our own, for those who have none: started with us, on 127.0.0.1 and a port of its own, one for each
 * data folder, started again when it is killed. Without `stop()` it goes on after our end, and the next start in
 * the same folder takes it over.
 */
export class EmbeddedPostgres {
  private stopped: Promise<void> | undefined;

  private constructor(
    private readonly server: EmbeddedServer,
    /** `postgres://eventdeck:<password>@127.0.0.1:<port>/eventdeck`, the same until `stop()`. */
    readonly url: string,
    /** The folder really used: for root not always the wished one. */
    readonly dataDir: string,
  ) {}

  /**
   * Starts PostgreSQL, the first time after creating the cluster and the database `eventdeck`, or takes over the one
   * that still runs in the folder. Waits up to 60 s for a recovery after a crash, and up to 5 s for a former owner to
   * vanish. Root, as whom PostgreSQL does not run, runs it as the owner of the cluster, `postgres` or `nobody`.
   * @throws EmbeddedPostgresError when nothing is installed for this platform, the folder is in use by another
   * eventdeck process, foreign or unusable, or PostgreSQL does not start
   */
  static async start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
    const { dataDir, log, settings = {} } = options;
    const cluster = await openCluster({ dataDir, log, durable: settings.fsync !== 'off' });
    const server = new EmbeddedServer(cluster, settings, log);
    const port = await server.start();
    return new EmbeddedPostgres(
      server,
      `postgres://${NAME}:${cluster.password}@127.0.0.1:${port}/${NAME}`,
      cluster.dataDir,
    );
  }

  /**
   * Ends PostgreSQL (fast shutdown, by force after 10 s) and waits until its process is gone. Further calls return the
   * same promise; never rejects for a server that is gone already.
   */
  stop(): Promise<void> {
    return (this.stopped ??= this.server.stop());
  }
}
