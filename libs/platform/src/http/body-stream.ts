import type { IncomingMessage } from 'node:http';
import { setImmediate } from 'node:timers';
import { AppError } from './app-error';
import type { BodyDeadline } from './body-deadline';
import { GrowingBuffer } from './growing-buffer';

/** Bytes that are kept of a body that comes faster than it is read; then the client waits. */
const KEPT_BYTES = 128 * 1024;

/**
 * The bytes of a body as it arrives, in parts of any size; the client waits while nobody asks for more.
 *
 * @throws AppError `timeout` when they do not arrive in time, `malformed` when the client leaves
 */
export async function* readStream(
  message: IncomingMessage,
  deadline: BodyDeadline | null,
): AsyncGenerator<Buffer, void> {
  const body = new ArrivingBody(message);
  try {
    for (let part = await body.next(deadline); part; part = await body.next(deadline)) yield part;
  } finally {
    // What is not wanted is read on and thrown away, or a client that only sends would never see the answer; but not
    // for ever.
    body.discard();
    if (!message.complete) deadline?.waitForRest();
  }
}

/** What comes in one turn of the event loop is joined: a client may send each byte as a chunk of its own. */
class ArrivingBody {
  private readonly kept = new GrowingBuffer();
  private isComplete = false;
  private failure: AppError | undefined;
  /** Has whoever waits look again. */
  private wake: (() => void) | undefined;
  private isWaking = false;

  constructor(private readonly message: IncomingMessage) {
    message.on('data', this.add);
    message.once('end', () => {
      this.isComplete = true;
      this.wakeSoon();
    });
    message.once('error', () => undefined);
    message.once('close', () => {
      this.failure = new AppError('malformed', 'The request body ended early.', { cause: message.errored });
      this.wakeSoon();
    });
  }

  /** The next bytes; `undefined` at the end of the body. */
  async next(deadline: BodyDeadline | null): Promise<Buffer | undefined> {
    if (this.kept.length === 0 && !this.isComplete && !this.failure) await this.waitForMore(deadline);
    if (this.kept.length > 0) {
      const part = this.kept.take();
      if (this.message.isPaused()) this.message.resume();
      return part;
    }
    if (!this.isComplete && this.failure) throw this.failure;
    return undefined;
  }

  discard(): void {
    this.message.off('data', this.add).resume();
    this.kept.clear();
  }

  private async waitForMore(deadline: BodyDeadline | null): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        this.wake = resolve;
        deadline?.waitForMore(reject);
      });
    } finally {
      this.wake = undefined;
      deadline?.stop();
    }
  }

  private readonly add = (part: Buffer): void => {
    this.kept.append(part);
    if (this.kept.length >= KEPT_BYTES) this.message.pause();
    this.wakeSoon();
  };

  private wakeSoon(): void {
    if (this.isWaking || !this.wake) return;
    this.isWaking = true;
    setImmediate(() => {
      this.isWaking = false;
      this.wake?.();
    });
  }
}
