import { setImmediate as nextTurn } from 'node:timers/promises';
import pLimit from 'p-limit';
import {
  CacheService,
  type AppError,
  type BufferedContent,
  type Connection,
  type DatabaseService,
} from '@app/platform';
import { EventBatchService } from './event-batch.service';
import type { EventQuotas } from './event-quotas';
import type { EventStore } from './event-store';
import type { IdempotencyService } from './idempotency.service';

const MEBIBYTE = 1024 * 1024;

const event = (message: string, details?: object): string =>
  JSON.stringify({ event_type: 'heavy', severity: 'info', message, details });

const lines = (count: number, line: string): Buffer => Buffer.from(`${line}\n`.repeat(count));

describe('EventBatchService', () => {
  /** The records of each statement, and whether it is part of a transaction. */
  let statements: { records: readonly string[]; isInTransaction: boolean }[];
  /** What a statement waits for. */
  let held: Promise<void>;
  let service: EventBatchService;

  beforeEach(() => {
    statements = [];
    held = Promise.resolve();
    service = serviceWith(1);
  });

  /** A service that stores so many batches at once. */
  function serviceWith(atOnce: number): EventBatchService {
    let id = 0;
    const store: Pick<EventStore, 'insertMany'> = {
      insertMany: async (records, connection) => {
        statements.push({ records, isInTransaction: connection !== undefined });
        await held;
        return records.map(() => ({ id: ++id }));
      },
    };
    const database = {
      transaction: <T>(work: (connection: Connection) => Promise<T>): Promise<T> => work({} as Connection),
    };
    return new EventBatchService(
      database as unknown as DatabaseService,
      store as EventStore,
      {} as IdempotencyService,
      new CacheService(undefined, '', {} as ConstructorParameters<typeof CacheService>[2]),
      { batches: { run: pLimit(atOnce) } } as unknown as EventQuotas,
    );
  }

  afterEach(async () => {
    jest.restoreAllMocks();
    // What the test took of a turn, by its clock, is over.
    for (let turn = 0; turn < 3; turn++) await nextTurn();
  });

  const content = (bytes: Buffer, memory: BufferedContent['memory'] = null): BufferedContent => ({
    type: 'application/x-ndjson',
    bytes,
    memory,
  });

  it.each([
    ['200 events of 80 KiB', 200, 80 * 1024],
    ['1000 events of 16 KiB', 1000, 16 * 1024],
    ['63 events of 255 KiB', 63, 255 * 1024],
    ['10,000 small events', 10_000, 100],
  ])(
    'stores %s in statements of 1000 events and 1 Mi characters at most, in one transaction',
    async (_name, count, size) => {
      const { body } = await service.create(content(lines(count, event('m', { a: 'x'.repeat(size) }))), false);
      expect(JSON.parse(body)).toEqual({
        accepted: count,
        rejected: 0,
        ids: Array.from({ length: count }, (_, place) => place + 1),
        errors: [],
      });
      const characters = statements.map(({ records }) => records.join('').length);
      for (const [place, { records, isInTransaction }] of statements.entries()) {
        expect(isInTransaction).toBe(true);
        expect(records.length).toBeLessThanOrEqual(1000);
        expect(characters[place]).toBeLessThanOrEqual(MEBIBYTE);
        // Nor are there more than that takes.
        const next = statements[place + 1]?.records[0];
        if (next) expect(records.length === 1000 || characters[place]! + next.length > MEBIBYTE).toBe(true);
      }
    },
  );

  it('needs no transaction of its own for what one statement stores', async () => {
    await service.create(content(lines(1000, event('m'))), false);
    expect(statements.map(({ records, isInTransaction }) => [records.length, isInTransaction])).toEqual([
      [1000, false],
    ]);
  });

  it('lets others have their turn each 10 ms, while it judges and while it makes its answer', async () => {
    let now = 0;
    // Each look at the clock is a millisecond of work.
    jest.spyOn(performance, 'now').mockImplementation(() => now++);
    expect(await turnsOf(() => service.create(content(lines(1000, event('m'))), false))).toBeGreaterThan(50);
    // Twice: each is judged, and each is an error to be written.
    expect(await turnsOf(() => service.create(content(lines(1000, '{}')), false))).toBeGreaterThan(100);
  });

  /** How often everything else has its turn before `work` is done. */
  async function turnsOf(work: () => Promise<unknown>): Promise<number> {
    let turns = 0;
    let isOver = false;
    const working = work().finally(() => (isOver = true));
    for (; !isOver; turns++) await nextTurn();
    await working;
    return turns;
  }

  it('reads a batch when its turn comes, and keeps its bytes no longer than that', async () => {
    let release = (): void => undefined;
    held = new Promise((resolve) => (release = resolve));
    const parse = jest.spyOn(JSON, 'parse');
    const [first, second] = ['first', 'second'].map((message) => content(lines(1, event(message))));
    const answers = [first!, second!].map((each) => service.create(each, false));
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    expect(parse.mock.calls).toEqual([[event('first')]]);
    expect([first!, second!].map(({ bytes }) => bytes.length > 0)).toEqual([false, true]);
    release();
    await Promise.all(answers);
    expect(parse.mock.calls).toEqual([[event('first')], [event('second')]]);
  });

  it.each([
    ['one after the other', 5 * MEBIBYTE, 'a+b+'],
    ['in turns', 3 * MEBIBYTE, '(a+b+){2,}'],
  ])('judges several in their turn %s, of %i bytes', async (_name, size, order) => {
    let now = 0;
    // Each look at the clock is a millisecond of work.
    jest.spyOn(performance, 'now').mockImplementation(() => now++);
    const parse = jest.spyOn(JSON, 'parse');
    service = serviceWith(2);
    const padding = ' '.repeat(Math.ceil(size / 100));
    const batches = ['a', 'b'].map((name) => content(lines(100, event(name) + padding)));
    await Promise.all(batches.map((batch) => service.create(batch, false)));
    const judged = parse.mock.calls.map(([text]) => /"message":"(.)"/.exec(text)?.[1]).join('');
    expect(judged).toMatch(new RegExp(`^${order}$`));
    expect(judged).toHaveLength(200);
  });

  it('takes memory for the values of a small array, and for texts that are longer than they came', async () => {
    const grown: number[] = [];
    const memory = { grow: (bytes: number): void => void grown.push(bytes) };
    const objects = Buffer.from(`[${event('m', { a: Array(20_000).fill({}) })}]`);
    await service.create({ type: 'application/json', bytes: objects, memory }, false);
    expect(grown).toEqual([objects.length + (19_999 + 4 + 3) * 64]);
    grown.length = 0;
    // 16 digits and a comma each, in ten statements.
    const numbers = lines(100, `${event('m').slice(0, -1)},"details":{"a":[${Array(6000).fill('1e15').join(',')}]}}`);
    await service.create(content(numbers, memory), false);
    expect(grown[0]).toBe(numbers.length);
    const [last, ...packed] = statements
      .slice(1)
      .map(({ records }) => records.join('\n').length)
      .reverse();
    expect(last).toBeLessThanOrEqual(MEBIBYTE);
    expect(grown.at(-1)).toBe(packed.reduce((sum, length) => sum + length));
    expect(grown.at(-1)).toBeGreaterThan(2 * numbers.length);
  });

  it('is refused while it is read, where there is no memory for it', async () => {
    const refusal = new Error('no memory');
    const refuse = (): never => {
      throw refusal;
    };
    await expect(service.create(content(lines(1, event('m')), { grow: refuse }), false)).rejects.toBe(refusal);
    expect(statements).toEqual([]);
    await expect(service.create(content(lines(1, event('m'))), false)).resolves.toMatchObject({ isReplayed: false });
  });

  it('counts every rule that is broken, and lists twenty, when it stores all or nothing', async () => {
    const refused = service.create(content(lines(100, '{"severity":"fatal"}')), true);
    const { errors, message } = (await refused.catch((error: unknown) => error)) as AppError;
    expect(errors).toHaveLength(20);
    expect(message).toMatch(/\(and 299 more\)$/);
    expect(statements).toEqual([]);
  });
});
