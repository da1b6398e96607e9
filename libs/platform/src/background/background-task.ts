import { Logger } from '@nestjs/common';

/**
 * Work that is done again and again beside the requests, one run at a time. A run that fails is tried again at its next
 * time; the first failure of a row is logged.
 */
export class BackgroundTask {
  private readonly logger = new Logger(BackgroundTask.name);
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private failing = false;

  /**
   * @param name as it stands in the log
   * @param work is given a signal that tells it to come to an end; returns the milliseconds until its next run
   */
  constructor(
    private readonly name: string,
    private readonly retryMs: number,
    private readonly work: (signal: AbortSignal) => Promise<number>,
  ) {}

  /** Runs `work` now, and then again and again. */
  start(): void {
    this.running = this.run().then((pauseMs) => {
      this.running = undefined;
      if (!this.stopping.signal.aborted) this.timer = setTimeout(() => this.start(), pauseMs).unref();
    });
  }

  /** Resolves when no run is under way, nor will be. */
  async stop(): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.timer);
    await this.running;
  }

  private async run(): Promise<number> {
    try {
      const pauseMs = await this.work(this.stopping.signal);
      this.failing = false;
      return pauseMs;
    } catch (error) {
      if (!this.failing) this.logger.warn(`${this.name} failed, trying again: ${String(error)}`);
      this.failing = true;
      return this.retryMs;
    }
  }
}
