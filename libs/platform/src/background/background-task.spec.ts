import { Logger } from '@nestjs/common';
import { until } from '../../../../test/support/services';
import { BackgroundTask } from './background-task';

describe('BackgroundTask', () => {
  let warnings: jest.SpyInstance;

  beforeEach(() => {
    warnings = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  });

  afterEach(() => warnings.mockRestore());

  it('runs at once, and again after the pause that each run asks for', async () => {
    let runs = 0;
    const task = new BackgroundTask('task', 60_000, () => Promise.resolve(++runs < 3 ? 1 : 60_000));
    task.start();
    await until(() => runs === 3, 'three runs');
    await task.stop();
    expect([runs, warnings.mock.calls.length]).toEqual([3, 0]);
  });

  it('tries again what failed, and tells of the first failure of a row', async () => {
    const outcomes = [false, false, true, false, true];
    let runs = 0;
    const task = new BackgroundTask('task', 1, () => {
      const ends = outcomes[runs++];
      if (ends === false) throw new Error('away');
      return Promise.resolve(ends ? 1 : 60_000);
    });
    task.start();
    await until(() => runs === outcomes.length + 1, 'a run after the last outcome');
    await task.stop();
    expect(warnings.mock.calls).toEqual(Array(2).fill(['task failed, trying again: Error: away']));
  });

  it('stops when the run under way has come to its end, and runs no more', async () => {
    const events: string[] = [];
    const task = new BackgroundTask('task', 1, async (signal) => {
      events.push('begins');
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      await new Promise((resolve) => setImmediate(resolve));
      events.push('ends');
      return 1;
    });
    task.start();
    await task.stop();
    events.push('stopped');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(events).toEqual(['begins', 'ends', 'stopped']);
  });

  it('stops between two runs, and before the first', async () => {
    let runs = 0;
    const task = new BackgroundTask('task', 1, () => Promise.resolve((runs++, 5)));
    await new BackgroundTask('task', 1, () => Promise.resolve(1)).stop();
    task.start();
    await until(() => runs === 1, 'one run');
    await task.stop();
    const before = runs;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(runs).toBe(before);
  });
});
