import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from './cluster';
import { close, connect, createDatabase, type OwnerConnection, takeLock } from './connection';
import { codeOf, EmbeddedPostgresError, errorFromOutput, reasonOf, toEmbeddedPostgresError } from './error';
import { findFreePort, isServing, keepLogBounded, launch, type Launched, readPostmaster, shutDown } from './process';

/** Recovery after a crash may replay a lot before PostgreSQL accepts connections. */
const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 10;
const RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;

/** What PostgreSQL says when its port was taken between our look and its start. */
const PORT_TAKEN = /could not bind|Address already in use/;
/** What it says while another server, or what remains of a killed one, has the cluster: that passes. */
const CLUSTER_TAKEN = /lock file "postmaster\.pid" already exists|pre-existing shared memory block/;

/** Keeps one PostgreSQL running on a cluster, for the one process that holds the cluster's lock. */
export class EmbeddedServer {
  private readonly stopping = new AbortController();
  /** The postmaster we have to stop: one we started, or one whose lock we hold. */
  private pid: number | undefined;
  private port: number | undefined;
  private connection: OwnerConnection | undefined;
  private busy = false;
  private recovery: Promise<void> = Promise.resolve();
  private leaveLog: () => void = () => undefined;

  constructor(
    private readonly cluster: Cluster,
    private readonly settings: Record<string, string>,
    private readonly log: (message: string) => void,
  ) {}

  /**
   * Starts PostgreSQL, or takes over one that still runs; from then on it is started again whenever it ends.
   * @returns its port on 127.0.0.1, the same until `stop()`
   * @throws EmbeddedPostgresError; nothing we started runs any longer then
   */
  async start(): Promise<number> {
    this.leaveLog = await keepLogBounded(this.cluster);
    this.busy = true;
    try {
      return await this.open();
    } catch (error) {
      await this.stop();
      throw toEmbeddedPostgresError(`PostgreSQL could not be started on ${this.cluster.folder}`, error);
    } finally {
      this.release();
    }
  }

  /** Ends PostgreSQL and waits until its process is gone, at most about 20 s; leaves one that another process owns. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.recovery;
    // The lock is held until the server ends: nobody can take over a server that is about to be stopped.
    if (this.pid !== undefined && !(await shutDown(this.pid, this.cluster))) {
      this.log(`PostgreSQL (pid ${this.pid}) could not be stopped.`);
    }
    if (this.connection) await close(this.connection);
    this.leaveLog();
  }

  private async open(): Promise<number> {
    const deadline = Date.now() + READY_TIMEOUT_MS;
    let reason = '';
    while (Date.now() < deadline) {
      this.stopping.signal.throwIfAborted();
      const outcome = await this.attempt(deadline);
      if (typeof outcome === 'number') return outcome;
      reason = outcome;
    }
    throw errorFromOutput(`PostgreSQL on ${this.cluster.folder} did not serve within 60 s`, reason);
  }

  /** Returns the port, or why it is worth another attempt. */
  private async attempt(deadline: number): Promise<number | string> {
    const found = await this.findRunning();
    const launched = found ? undefined : await this.launch();
    const pid = found?.pid ?? launched?.pid ?? 0;
    const connection = await this.waitUntilReady(pid, launched, deadline);
    if (typeof connection === 'string') return launched?.hasExited() ? this.judge(launched) : connection;
    try {
      return await this.own(connection, pid, launched);
    } catch (error) {
      // 57P: PostgreSQL says that it is going, before the connection ends.
      if (!connection.hasEnded() && !codeOf(error).startsWith('57P')) throw error;
      return 'the connection was lost';
    } finally {
      if (this.connection !== connection) await close(connection);
    }
  }

  private async findRunning(): Promise<{ pid: number } | undefined> {
    const found = await readPostmaster(this.cluster);
    return found && (await isServing(found.pid, this.cluster)) ? found : undefined;
  }

  private async launch(): Promise<Launched> {
    const launched = await launch(this.cluster, this.port ?? (await findFreePort()), this.settings);
    this.pid = launched.pid;
    return launched;
  }

  /** Only what `postmaster.pid` calls ready is asked: else a stranger on a port we lost could be given our password. */
  private async waitUntilReady(pid: number, launched: Launched | undefined, deadline: number) {
    let reason = 'it is starting up';
    while (Date.now() < deadline) {
      this.stopping.signal.throwIfAborted();
      if (launched ? launched.hasExited() : !(await isServing(pid, this.cluster))) return 'it has ended';
      const state = await readPostmaster(this.cluster);
      if (state?.pid === pid && state.ready) {
        const outcome = await connect(this.cluster, state.port);
        if (typeof outcome !== 'string') return outcome;
        reason = outcome;
      }
      await delay(READY_POLL_MS);
    }
    return reason;
  }

  /** Says why a server ended while it started, when that may pass, and throws when it will not. */
  private async judge(launched: Launched): Promise<string> {
    const output = await launched.readOutput();
    if (!PORT_TAKEN.test(output) && !CLUSTER_TAKEN.test(output)) {
      throw errorFromOutput(
        `PostgreSQL ended while it started on ${this.cluster.folder}`,
        output,
        launched.describeEnd(),
      );
    }
    await delay(RETRY_MS);
    return output;
  }

  private async own(connection: OwnerConnection, pid: number, launched: Launched | undefined) {
    if (!(await takeLock(connection, this.stopping.signal))) {
      // Even if we started it: another process was faster to take it over.
      this.pid = undefined;
      throw new EmbeddedPostgresError(
        `The data folder ${this.cluster.dataDir} is in use by another eventdeck process.`,
      );
    }
    this.pid = pid;
    const port = (await readPostmaster(this.cluster))?.port;
    if (port === undefined) return 'it has ended';
    if (this.port !== undefined && port !== this.port) {
      await shutDown(pid, this.cluster);
      return `it ran on port ${port}`;
    }
    await createDatabase(connection);
    if (!launched && !this.isRecovering) this.log(`PostgreSQL was still running (pid ${pid}): it is used again.`);
    this.watch(connection, launched);
    this.port = port;
    return port;
  }

  private get isRecovering(): boolean {
    return this.port !== undefined;
  }

  private watch(connection: OwnerConnection, launched: Launched | undefined): void {
    this.connection = connection;
    connection.unref();
    const lose = (): void => {
      if (this.connection !== connection || this.stopping.signal.aborted) return;
      this.connection = undefined;
      void close(connection);
      this.recover();
    };
    void connection.ended.then(lose);
    void launched?.exited.then(lose);
  }

  private recover(): void {
    if (this.busy || this.stopping.signal.aborted) return;
    this.busy = true;
    this.recovery = this.openAgain().finally(() => this.release());
  }

  /** The connection may have been lost again while we were still busy. */
  private release(): void {
    this.busy = false;
    if (!this.connection) this.recover();
  }

  /** Never rejects; ends when PostgreSQL serves again, or on `stop()`. */
  private async openAgain(): Promise<void> {
    this.log('PostgreSQL has ended or dropped its connections: bringing it back.');
    for (let pause = RETRY_MS; !this.stopping.signal.aborted; pause = Math.min(pause * 2, MAX_RETRY_MS)) {
      try {
        await this.open();
        this.log(`PostgreSQL serves again (pid ${this.pid}).`);
        return;
      } catch (error) {
        if (this.stopping.signal.aborted) return;
        this.log(`PostgreSQL is not back yet, next attempt in ${pause / 1000} s. ${reasonOf(error).split('\n')[0]}`);
      }
      await delay(pause, undefined, { signal: this.stopping.signal, ref: false }).catch(() => undefined);
    }
  }
}
