import { performance } from 'node:perf_hooks';
import { Transform } from 'node:stream';
import cliProgress from 'cli-progress';

/** Milliseconds between two lines where there is no terminal to draw a bar on. */
const LINE_INTERVAL_MS = 5000;

const MEBIBYTE = 1024 ** 2;

/** Shows on standard error how far a transfer is: as a bar on a terminal, else as a line now and then. */
export class TransferProgress {
  #bar;
  #started = performance.now();
  #lastLine = performance.now();
  #bytes = 0;
  #events;

  /**
   * @param total events or bytes, whatever `share` is told; 0 when nobody knows
   * @param stream where it is shown
   */
  constructor(total, stream = process.stderr) {
    if (!stream.isTTY) return;
    const format = total > 0 ? '{bar} {percentage}% | {state} | {eta_formatted} left' : '{state}';
    this.#bar = new cliProgress.SingleBar(
      { stream, format, hideCursor: true, etaBuffer: 50 },
      cliProgress.Presets.shades_classic,
    );
    this.#bar.start(Math.max(total, 1), 0, { state: '' });
  }

  /** A stream that passes everything on and shows it; `count` tells how many events a chunk ends, where it can. */
  meter(share, count) {
    return new Transform({
      transform: (chunk, _encoding, done) => {
        this.#bytes += chunk.length;
        if (count) this.#events = (this.#events ?? 0) + count(chunk);
        this.#show(share === 'events' ? (this.#events ?? 0) : this.#bytes);
        done(null, chunk);
      },
    });
  }

  /** Ends the bar; what follows on the terminal starts on a line of its own. */
  stop() {
    this.#bar?.stop();
  }

  /** What was transferred so far, in words. */
  get state() {
    const seconds = Math.max((performance.now() - this.#started) / 1000, 0.001);
    const events = this.#events === undefined ? '' : `${this.#events.toLocaleString('en')} events, `;
    const rate = (this.#bytes / MEBIBYTE / seconds).toFixed(1);
    return `${events}${(this.#bytes / MEBIBYTE).toFixed(1)} MiB, ${rate} MiB/s`;
  }

  #show(done) {
    if (this.#bar) {
      // An estimate may be too low.
      if (done > this.#bar.getTotal()) this.#bar.setTotal(done);
      this.#bar.update(done, { state: this.state });
    } else if (performance.now() - this.#lastLine >= LINE_INTERVAL_MS) {
      this.#lastLine = performance.now();
      console.error(this.state);
    }
  }
}
