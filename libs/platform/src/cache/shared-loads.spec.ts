import { SharedLoads } from './shared-loads';

/** Loads that end when told, each with the number of its beginning. */
class Loads {
  begun = 0;
  private readonly ends: ((error?: Error) => void)[] = [];

  readonly load = (): Promise<string> => {
    const name = `load ${++this.begun}`;
    return new Promise((resolve, reject) => this.ends.push((error) => (error ? reject(error) : resolve(name))));
  };

  async end(error?: Error): Promise<void> {
    this.ends.shift()?.(error);
    await turns();
  }
}

/** Lets loads begin when told. */
class Gate {
  private readonly waiting: (() => void)[] = [];

  readonly inTurn = async <T>(load: () => Promise<T>, isAbandoned: () => boolean): Promise<T> => {
    await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (isAbandoned()) throw new Error('abandoned');
    return load();
  };

  async open(): Promise<void> {
    this.waiting.shift()?.();
    await turns();
  }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

describe('SharedLoads', () => {
  let loads: Loads;

  beforeEach(() => (loads = new Loads()));

  it('gives nobody what was loaded before the question, and the next load to all who wait', async () => {
    const shared = new SharedLoads<string>();
    const first = shared.next('key', loads.load);
    await turns();
    const later = Array.from({ length: 100 }, () => shared.next('key', loads.load));
    await turns();
    expect(loads.begun).toBe(1);
    await loads.end();
    expect(await first).toBe('load 1');
    const latest = shared.next('key', loads.load);
    await turns();
    await loads.end();
    expect(new Set(await Promise.all(later))).toEqual(new Set(['load 2']));
    await loads.end();
    expect(await latest).toBe('load 3');
  });

  it('keeps keys apart', async () => {
    const shared = new SharedLoads<string>();
    const results = ['a', 'b'].map((key) => shared.next(key, loads.load));
    await turns();
    expect(loads.begun).toBe(2);
    await loads.end();
    await loads.end();
    expect(await Promise.all(results)).toEqual(['load 1', 'load 2']);
  });

  it('hands a failure to all who share it, and loads anew for the next', async () => {
    const shared = new SharedLoads<string>();
    const first = [1, 2].map(() => shared.next('key', loads.load));
    await turns();
    const second = shared.next('key', loads.load);
    await loads.end(new Error('away'));
    for (const { status } of await Promise.allSettled(first)) expect(status).toBe('rejected');
    await loads.end();
    expect(await second).toBe('load 2');
  });

  it('lets readers join until a load really begins', async () => {
    const gate = new Gate();
    const shared = new SharedLoads<string>(gate.inTurn);
    const early = shared.next('key', loads.load);
    await turns();
    const late = shared.next('key', loads.load);
    await gate.open();
    const tooLate = shared.next('key', loads.load);
    await loads.end();
    expect(await Promise.all([early, late])).toEqual(['load 1', 'load 1']);
    await gate.open();
    await loads.end();
    expect(await tooLate).toBe('load 2');
  });

  it('begins anew after a load that was refused its turn', async () => {
    const refuse = jest.fn(() => Promise.reject<never>(new Error('refused')));
    const shared = new SharedLoads<string>(refuse);
    for (let round = 1; round <= 2; round++) {
      await expect(shared.next('key', loads.load)).rejects.toThrow('refused');
      expect(refuse).toHaveBeenCalledTimes(round);
    }
  });

  it('is abandoned once all readers have left, and joined by nobody then', async () => {
    const gate = new Gate();
    const shared = new SharedLoads<string>(gate.inTurn);
    const left = new Set<number>();
    const readers = [1, 2].map((reader) => shared.next('key', loads.load, () => left.has(reader)));
    await turns();
    left.add(1);
    await gate.open();
    await loads.end();
    expect(await Promise.all(readers)).toEqual(['load 1', 'load 1']);

    const abandoned = shared.next('key', loads.load, () => true);
    await turns();
    const outcome = abandoned.catch((error: Error) => {
      // In the same turn in which it was refused.
      const own = shared.next('key', loads.load);
      return own.then((value) => [error.message, value]);
    });
    await gate.open();
    await gate.open();
    await loads.end();
    expect(await outcome).toEqual(['abandoned', 'load 2']);
  });
});
