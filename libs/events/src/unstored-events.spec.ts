import { setImmediate as nextTurn } from 'node:timers/promises';
import { UnstoredEvents } from './unstored-events';

describe('UnstoredEvents', () => {
  let end: (error?: Error) => void = () => undefined;
  const work = (): Promise<string> =>
    new Promise((resolve, reject) => {
      end = (error) => (error ? reject(error) : resolve('stored'));
    });

  it('is full from its limit on, until enough is stored', async () => {
    const unstored = new UnstoredEvents(10);
    unstored.add(9);
    expect(unstored.isFull).toBe(false);
    unstored.add(1);
    expect(unstored.isFull).toBe(true);
    expect(await unstored.store(1, () => Promise.resolve('stored'))).toBe('stored');
    expect(unstored.isFull).toBe(false);
  });

  it.each<[string, Error | undefined]>([
    ['stored', undefined],
    ['refused', new Error('refused')],
  ])('has who waits go on when what others store is %s', async (_what, error) => {
    const unstored = new UnstoredEvents(10);
    unstored.add(10);
    const storing = unstored.store(10, work).catch(() => undefined);
    let hasRoom = false;
    const waiting = unstored.room().then(() => (hasRoom = true));
    await nextTurn();
    expect(hasRoom).toBe(false);

    end(error);
    await Promise.all([storing, waiting]);
    expect(hasRoom).toBe(true);
  });

  it('keeps nobody waiting for what is only gathered', async () => {
    const unstored = new UnstoredEvents(10);
    unstored.add(10);
    await expect(unstored.room()).resolves.toBeUndefined();
  });
});
