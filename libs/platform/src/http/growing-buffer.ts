/** Bytes of the smallest buffer that parts are copied to. */
const FIRST_BYTES = 1024;

/**
 * Bytes that come in parts of any size and are taken as one. A Buffer for each part would cost some 340 bytes of memory
 * for a part of one byte; here a byte costs two at most.
 */
export class GrowingBuffer {
  /** Bytes that it holds. */
  length = 0;
  private bytes: Buffer = Buffer.alloc(0);

  /** @param max bytes that it will be asked to hold at most: it reserves no more */
  constructor(private readonly max = Infinity) {}

  append(part: Buffer): void {
    const length = this.length + part.length;
    // Most often a part comes alone, and has the memory behind it to itself.
    if (this.length === 0 && 2 * part.length >= part.buffer.byteLength) this.bytes = part;
    else {
      if (length > this.bytes.length) this.reserve(length);
      part.copy(this.bytes, this.length);
    }
    this.length = length;
  }

  /** What it holds; it is empty then. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.length);
    this.clear();
    return taken;
  }

  clear(): void {
    this.bytes = Buffer.alloc(0);
    this.length = 0;
  }

  private reserve(length: number): void {
    const bytes = Buffer.allocUnsafeSlow(Math.min(Math.max(2 * length, FIRST_BYTES), Math.max(length, this.max)));
    this.bytes.copy(bytes, 0, 0, this.length);
    this.bytes = bytes;
  }
}
