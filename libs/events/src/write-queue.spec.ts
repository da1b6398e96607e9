import { AppError } from '@app/platform';
import { WriteQueue } from './write-queue';

const MEBIBYTE = 1024 * 1024;

/** A queue whose flushes end when they are told to. */
class HeldQueue {
  readonly flushes: {
    items: readonly number[];
    end: (results?: (number | AppError)[]) => void;
    fail: (error: Error) => void;
  }[] = [];
  readonly queue = new WriteQueue<number, number>(
    (items) =>
      new Promise((resolve, reject) => {
        this.flushes.push({ items, end: (results = [...items]) => resolve(results), fail: reject });
      }),
  );

  /** Adds an item, and tells what became of it. */
  add(item: number, size = 1): Promise<number | string> {
    return this.queue.add(item, size).catch((error: Error) => error.message);
  }

  /** The `count`-th flush, once it is under way. */
  async flush(count: number): Promise<HeldQueue['flushes'][number]> {
    while (this.flushes.length < count) await new Promise((resolve) => setImmediate(resolve));
    return this.flushes[count - 1]!;
  }
}

const TOO_MANY = expect.stringMatching(/^Too many/) as string;

describe('WriteQueue', () => {
  let held: HeldQueue;

  beforeEach(() => {
    held = new HeldQueue();
  });

  it('flushes one that comes alone, and then together what waited meanwhile', async () => {
    const first = held.add(1);
    const flush = await held.flush(1);
    const others = [2, 3, 4].map((item) => held.add(item));
    flush.end();
    expect(await first).toBe(1);
    (await held.flush(2)).end();
    expect(await Promise.all(others)).toEqual([2, 3, 4]);
    expect(held.flushes.map(({ items }) => items)).toEqual([[1], [2, 3, 4]]);
  });

  it('flushes what is added the moment that the last result is known', async () => {
    const queue = new WriteQueue<number, number>((items) => Promise.resolve([...items]));
    const results: number[] = [];
    const add = async (item: number): Promise<void> => {
      results.push(await queue.add(item, 1));
      if (item < 5) await add(item + 1);
    };
    await add(1);
    expect(results).toEqual([1, 2, 3, 4, 5]);
  });

  it('is drained when nothing waits, what is added meanwhile included', async () => {
    const queue = new WriteQueue<number, number>((items) => Promise.resolve([...items]));
    const results: number[] = [];
    const chain = queue.add(1, 1).then(async (result) => results.push(result, await queue.add(2, 1)));
    await queue.drained();
    expect(results).toEqual([1, 2]);
    await chain;
    await queue.drained();
  });

  it('takes an error for the item in whose place it stands, and a failure for all of the flush', async () => {
    const first = held.add(0);
    const ahead = await held.flush(1);
    const items = [1, 2, 3].map((item) => held.add(item));
    ahead.end();
    const mixed = await held.flush(2);
    const failing = [4, 5].map((item) => held.add(item));
    mixed.end([1, new AppError('invalid', 'refused'), 3]);
    expect(await Promise.all([first, ...items])).toEqual([0, 1, 'refused', 3]);
    const flush = await held.flush(3);
    const after = held.add(6);
    flush.fail(new Error('away'));
    expect(await Promise.all(failing)).toEqual(['away', 'away']);
    (await held.flush(4)).end();
    expect(await after).toBe(6);
  });

  it('answers everybody, should a flush give too few results', async () => {
    const first = held.add(0);
    const ahead = await held.flush(1);
    const items = [1, 2].map((item) => held.add(item));
    ahead.end();
    (await held.flush(2)).end([1]);
    expect(await Promise.all([first, ...items])).toEqual([0, 1, expect.stringMatching(/no result/)]);
  });

  it('flushes 1000 items or 1 Mi characters at a time, or one that is larger', async () => {
    const first = held.add(0);
    const flush = await held.flush(1);
    const many = Array.from({ length: 1001 }, (_, item) => held.add(item));
    const sizes = [MEBIBYTE - 2, 1, 1, 2 * MEBIBYTE, 1];
    const large = sizes.map((size, item) => held.add(item, size));
    flush.end();
    for (let count = 2; count <= 6; count++) (await held.flush(count)).end();
    await Promise.all([first, ...many, ...large]);
    expect(held.flushes.map(({ items }) => items.length)).toEqual([1, 1000, 3, 1, 1, 1]);
  });

  it('lets 10,000 items wait', async () => {
    const first = held.add(0);
    const flush = await held.flush(1);
    const waiting = Array.from({ length: 10_000 }, (_, item) => held.add(item));
    expect(await held.add(1)).toEqual(TOO_MANY);
    flush.end();
    expect(await first).toBe(0);
    const next = await held.flush(2);
    // A thousand have gone on.
    const more = Array.from({ length: 1000 }, (_, item) => held.add(item));
    expect(await held.add(1)).toEqual(TOO_MANY);
    next.end();
    for (let count = 3; count <= 12; count++) (await held.flush(count)).end();
    expect(await Promise.all([...waiting, ...more])).not.toContainEqual(TOO_MANY);
  });

  it('lets 64 Mi characters wait', async () => {
    const first = held.add(0);
    const flush = await held.flush(1);
    const waiting = [held.add(1, 32 * MEBIBYTE), held.add(2, 32 * MEBIBYTE)];
    expect(await held.add(3, 1)).toEqual(TOO_MANY);
    flush.end();
    (await held.flush(2)).end();
    const later = held.add(4, 32 * MEBIBYTE);
    expect(await held.add(5, 1)).toEqual(TOO_MANY);
    for (let count = 3; count <= 4; count++) (await held.flush(count)).end();
    expect(await Promise.all([first, ...waiting, later])).toEqual([0, 1, 2, 4]);
  });

  describe('by the clock', () => {
    let now: number;

    beforeEach(() => {
      now = 0;
      jest.spyOn(performance, 'now').mockImplementation(() => now);
    });

    afterEach(() => jest.restoreAllMocks());

    it('refuses who has waited for more than five seconds', async () => {
      const first = held.add(0);
      const flush = await held.flush(1);
      const old = held.add(1);
      now = 1;
      const young = held.add(2);
      now = 5001;
      flush.end();
      (await held.flush(2)).end();
      expect(await Promise.all([first, old, young])).toEqual([0, TOO_MANY, 2]);
      expect(held.flushes.map(({ items }) => items)).toEqual([[0], [2]]);
    });

    it('goes on after all that waited are refused', async () => {
      const first = held.add(0);
      const flush = await held.flush(1);
      const old = held.add(1);
      now = 6000;
      flush.end();
      expect(await Promise.all([first, old])).toEqual([0, TOO_MANY]);
      const next = held.add(2);
      (await held.flush(2)).end();
      expect(await next).toBe(2);
    });
  });
});
