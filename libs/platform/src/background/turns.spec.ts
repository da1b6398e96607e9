import { setImmediate as nextTurn } from 'node:timers/promises';
import { giveTurn, TURN_MS } from './turns';

describe('giveTurn', () => {
  let now = 0;

  beforeEach(() => {
    jest.spyOn(performance, 'now').mockImplementation(() => now);
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    // What a test asked for is over.
    await nextTurn();
    await nextTurn();
  });

  /** Work of so many steps of so many milliseconds each, which notes its name at each turn that it is given. */
  async function work(steps: number, ms: number, name: string, notes: string[]): Promise<void> {
    for (let step = 0; step < steps; step++) {
      now += ms;
      const turn = giveTurn();
      if (!turn) continue;
      await turn;
      notes.push(name);
    }
  }

  it('costs no promise while the turn is not used up', async () => {
    expect(giveTurn()).toBeUndefined();
    now += TURN_MS - 1;
    expect(giveTurn()).toBeUndefined();
    now += 1;
    await expect(giveTurn()).resolves.toBeUndefined();
  });

  it('begins anew in each turn of the event loop', async () => {
    for (let turn = 0; turn < 5; turn++) {
      expect(giveTurn()).toBeUndefined();
      now += TURN_MS;
      await nextTurn();
    }
  });

  it('lets everything else have its turn once ten milliseconds are used', async () => {
    const notes: string[] = [];
    let others = 0;
    const count = (): void => {
      others++;
      if (notes.length < 10) setImmediate(count);
    };
    setImmediate(count);
    // 1 ms of work at each of 101 steps: the first look at the clock begins the first of ten turns.
    await work(101, 1, 'work', notes);
    expect(notes).toHaveLength(10);
    expect(others).toBeGreaterThanOrEqual(10);
  });

  it('gives one of several a turn at a time, in their order', async () => {
    const notes: string[] = [];
    let turns = 0;
    const count = (): void => {
      turns++;
      if (notes.length < 6) setImmediate(count);
    };
    setImmediate(count);
    expect(giveTurn()).toBeUndefined();
    await Promise.all(['a', 'b', 'c'].map((name) => work(2, TURN_MS, name, notes)));
    expect(notes.join('')).toBe('abcabc');
    expect(turns).toBeGreaterThanOrEqual(6);
  });

  it('gives everything else a turn for each ten milliseconds that a step took', async () => {
    const notes: string[] = [];
    let turns = 0;
    const count = (): void => {
      turns++;
      if (notes.length < 2) setImmediate(count);
    };
    setImmediate(count);
    expect(giveTurn()).toBeUndefined();
    await work(1, 7 * TURN_MS, 'long', notes);
    expect(turns).toBeGreaterThanOrEqual(7);
    const before = turns;
    await work(1, TURN_MS, 'short', notes);
    expect(turns - before).toBeLessThan(4);
  });
});
