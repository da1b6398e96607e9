import fc from 'fast-check';
import { GrowingBuffer } from './growing-buffer';

const sizes = fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 40 });

describe('GrowingBuffer', () => {
  it('gives back what came, in one', () => {
    fc.assert(
      fc.property(sizes, fc.boolean(), (lengths, areSlices) => {
        const source = Buffer.from(Array.from({ length: 3000 }, (_, at) => at % 251));
        const parts = lengths.map((length) =>
          areSlices ? source.subarray(0, length) : Buffer.from(source.subarray(0, length)),
        );
        const buffer = new GrowingBuffer();
        for (let round = 0; round < 2; round++) {
          for (const part of parts) buffer.append(part);
          const whole = Buffer.concat(parts);
          expect(buffer.length).toBe(whole.length);
          expect(buffer.take().equals(whole)).toBe(true);
          expect(buffer.length).toBe(0);
        }
      }),
    );
  });

  it('leaves alone what was taken', () => {
    const buffer = new GrowingBuffer();
    buffer.append(Buffer.from('one'));
    buffer.append(Buffer.from('two'));
    const first = buffer.take();
    buffer.append(Buffer.from('three'));
    buffer.append(Buffer.from('four'));
    expect([String(first), String(buffer.take())]).toEqual(['onetwo', 'threefour']);
  });

  it.each([1, 7, 64, 5000])('reserves two bytes at most for one that comes in parts of %d', (size) => {
    const buffer = new GrowingBuffer(100_000);
    // Of a file that was read in one, as the parts of a body may be.
    const source = Buffer.alloc(200_000);
    for (let length = size; length <= 100_000; length += size) {
      buffer.append(source.subarray(length - size, length));
      const taken = buffer.take();
      expect(taken.buffer.byteLength).toBeLessThanOrEqual(Math.max(1024, 2 * length));
      buffer.append(taken);
    }
    const full = buffer.take();
    buffer.append(full);
    buffer.append(Buffer.alloc(100_000 - full.length));
    expect(buffer.take().buffer.byteLength).toBeLessThanOrEqual(200_000);
  });
});
