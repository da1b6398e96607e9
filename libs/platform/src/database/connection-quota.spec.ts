import { AppError } from '../http/app-error';
import { ConnectionQuotas, type ConnectionQuota, type QuotaLimits, type Turn } from './connection-quota';

const LIMITS: QuotaLimits = { maxWaiting: 3, maxWaitMs: 2000, refusal: 'Too much is waiting.' };
const REFUSED = new AppError('unavailable', LIMITS.refusal);

/** Pieces of work that begin when their turn comes and end when told. */
class Works {
  readonly begun: string[] = [];
  private readonly ends = new Map<string, (error?: Error) => void>();

  run(quota: ConnectionQuota, name: string, turn?: Turn): Promise<string> {
    const work = (): Promise<string> => {
      this.begun.push(name);
      return new Promise((resolve, reject) => this.ends.set(name, (error) => (error ? reject(error) : resolve(name))));
    };
    const result = quota.run(work, turn);
    result.catch(() => undefined);
    return result;
  }

  async end(name: string, error?: Error): Promise<void> {
    this.ends.get(name)?.(error);
    await turns();
  }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

describe('ConnectionQuotas', () => {
  let works: Works;

  beforeEach(() => {
    jest.useFakeTimers();
    works = new Works();
  });

  afterEach(() => jest.useRealTimers());

  it.each([
    [1, 1, 1],
    [2, 1, 1],
    [3, 1, 2],
    [4, 2, 3],
    [5, 2, 4],
    [6, 3, 4],
    [10, 5, 8],
    [100, 50, 98],
  ])('of %i connections lets a kind of work take %i, and all together %i', (max, each, together) => {
    const quotas = new ConnectionQuotas(max);
    const one = quotas.create(LIMITS);
    for (let count = 0; count <= max; count++) void works.run(one, 'one', { isPatient: true });
    expect(works.begun).toHaveLength(each);
    for (let kind = 0; kind < 3; kind++) {
      const other = quotas.create(LIMITS);
      for (let count = 0; count <= max; count++) void works.run(other, 'other', { isPatient: true });
    }
    expect(works.begun).toHaveLength(together);
  });

  it('gives a place to the kind that has the fewest, and of a kind to the oldest', async () => {
    const quotas = new ConnectionQuotas(10);
    const [many, few] = [quotas.create({ ...LIMITS, maxWaiting: 100 }), quotas.create(LIMITS)];
    const other = quotas.create(LIMITS);
    for (let count = 0; count < 3; count++) void works.run(other, `other ${count}`);
    for (let count = 0; count < 20; count++) void works.run(many, `many ${count}`);
    const before = ['other 0', 'other 1', 'other 2', 'many 0', 'many 1', 'many 2', 'many 3', 'many 4'];
    expect(works.begun).toEqual(before);
    void works.run(few, 'few 0');
    void works.run(few, 'few 1');
    void works.run(few, 'few 2');
    await works.end('many 0');
    await works.end('many 1');
    await works.end('many 2');
    await works.end('few 0');
    await works.end('other 0');
    expect(works.begun.slice(before.length)).toEqual(['few 0', 'few 1', 'many 5', 'few 2', 'many 6']);
  });

  it.each([1, 2, 3, 4, 5, 6])('of %i connections gives each of four kinds its turns', async (max) => {
    const quotas = new ConnectionQuotas(max);
    const turns = new Map<string, number>();
    const running: string[] = [];
    for (const kind of ['a', 'b', 'c', 'd']) {
      const quota = quotas.create(LIMITS);
      for (let count = 0; count < 100; count++) void works.run(quota, `${kind} ${count}`, { isPatient: true });
    }
    for (let ended = 0; ended < 40; ended++) {
      running.push(...works.begun.splice(0));
      const [first = ''] = running.splice(0, 1);
      turns.set(first.slice(0, 1), (turns.get(first.slice(0, 1)) ?? 0) + 1);
      await works.end(first);
    }
    for (const kind of ['a', 'b', 'c', 'd']) expect(turns.get(kind)).toBeGreaterThanOrEqual(8);
  });

  it('hands on what the work returns and throws, and gives the place back either way', async () => {
    const quota = new ConnectionQuotas(1).create(LIMITS);
    const first = works.run(quota, 'first');
    const second = works.run(quota, 'second');
    const third = works.run(quota, 'third');
    await works.end('first', new Error('broken'));
    await works.end('second');
    await works.end('third');
    await expect(first).rejects.toThrow('broken');
    expect(await Promise.all([second, third])).toEqual(['second', 'third']);
  });

  it('lets as many wait as it says, refuses the next one, and has room again', async () => {
    const quota = new ConnectionQuotas(1).create(LIMITS);
    void works.run(quota, 'running');
    const waiting = ['1', '2', '3'].map((name) => works.run(quota, name));
    await expect(works.run(quota, 'too many')).rejects.toEqual(REFUSED);
    await works.end('running');
    waiting.push(works.run(quota, '4'));
    for (const name of ['1', '2', '3', '4']) await works.end(name);
    expect(await Promise.all(waiting)).toEqual(['1', '2', '3', '4']);
  });

  it('refuses what has waited for as long as it says, and nothing earlier', async () => {
    const quota = new ConnectionQuotas(1).create(LIMITS);
    void works.run(quota, 'running');
    let refused: unknown;
    void works.run(quota, 'waiting').catch((error: unknown) => (refused = error));
    await jest.advanceTimersByTimeAsync(LIMITS.maxWaitMs - 1);
    expect(refused).toBeUndefined();
    await jest.advanceTimersByTimeAsync(1);
    expect(refused).toEqual(REFUSED);
    await works.end('running');
    expect(works.begun).toEqual(['running']);
  });

  it('does not refuse what has begun in time, however long it takes', async () => {
    const quota = new ConnectionQuotas(1).create(LIMITS);
    void works.run(quota, 'running');
    const waiting = works.run(quota, 'waiting');
    await works.end('running');
    await jest.advanceTimersByTimeAsync(10 * LIMITS.maxWaitMs);
    await works.end('waiting');
    expect(await waiting).toBe('waiting');
  });

  it('refuses nothing that is patient', async () => {
    const quota = new ConnectionQuotas(1).create(LIMITS);
    void works.run(quota, 'running');
    for (const name of ['1', '2', '3']) void works.run(quota, name);
    const patient = works.run(quota, 'patient', { isPatient: true });
    await jest.advanceTimersByTimeAsync(10 * LIMITS.maxWaitMs);
    await works.end('running');
    await works.end('patient');
    expect(await patient).toBe('patient');
  });

  it('runs one piece of a key at a time, and others meanwhile', async () => {
    const quota = new ConnectionQuotas(10).create({ ...LIMITS, maxWaiting: 100 });
    for (const name of ['a1', 'a2', 'a3']) void works.run(quota, name, { key: 'a' });
    void works.run(quota, 'b1', { key: 'b' });
    void works.run(quota, 'none');
    expect(works.begun).toEqual(['a1', 'b1', 'none']);
    await works.end('a1', new Error('broken'));
    expect(works.begun).toEqual(['a1', 'b1', 'none', 'a2']);
    await works.end('a2');
    expect(works.begun).toEqual(['a1', 'b1', 'none', 'a2', 'a3']);
  });

  it('does not run what nobody waits for any more when its turn comes', async () => {
    const quota = new ConnectionQuotas(1).create(LIMITS);
    void works.run(quota, 'running');
    let hasLeft = false;
    const abandoned = works.run(quota, 'abandoned', { isAbandoned: () => hasLeft });
    void works.run(quota, 'next', { isAbandoned: () => false });
    hasLeft = true;
    await works.end('running');
    await expect(abandoned).rejects.toMatchObject({ kind: 'timeout' });
    expect(works.begun).toEqual(['running', 'next']);
  });
});
