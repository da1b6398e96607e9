import { setImmediate } from 'node:timers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CacheService, DatabaseService, StreamedContent } from '@app/platform';
import { MAX_IMPORT_ERRORS, type ImportResultDto } from './event-import.dto';
import { EventImportService } from './event-import.service';
import type { EventQuotas } from './event-quotas';
import type { EventStore } from './event-store';

/** So many events are wrong that many turns are due, and so few that the file is not hopeless. */
const COUNT = 5000;

/** Uploads at once, and the large events of each. */
const UPLOADS = 40;
const EVENTS = 10;

describe('EventImportService', () => {
  let turns = 0;
  let isOver = false;

  beforeEach(() => {
    // A clock by which each look at it comes ten milliseconds after the one before.
    let now = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => (now += 10));
    turns = 0;
    isOver = false;
    const count = (): void => {
      turns++;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
  });

  afterEach(async () => {
    isOver = true;
    jest.restoreAllMocks();
    // The turn that was begun by that clock is over.
    await nextTurn();
    await nextTurn();
  });

  /** Imports a file that comes in one part; of one without a good event nothing reaches the database. */
  function read(type: StreamedContent['type'], file: string): Promise<ImportResultDto> {
    const service = new EventImportService(
      {} as DatabaseService,
      {} as EventStore,
      {} as CacheService,
      {} as EventQuotas,
    );
    async function* chunks(): AsyncGenerator<Buffer, void> {
      yield await Promise.resolve(Buffer.from(file));
    }
    return service.import({ type, chunks: chunks() });
  }

  it.each<[StreamedContent['type'], string]>([
    ['application/x-ndjson', 'x\n'.repeat(COUNT)],
    ['application/x-ndjson', '{}\n'.repeat(COUNT)],
    ['application/json', `[${'1,'.repeat(COUNT - 1)}1]`],
    ['text/csv', `event_type,severity,message\n${'x\n'.repeat(COUNT)}`],
  ])('gives the event loop up within a part of a file: %s %.10j', async (type, file) => {
    expect(await read(type, file)).toMatchObject({ imported: 0, rejected: COUNT });
    expect(turns).toBeGreaterThan(COUNT / 2);
  });

  it.each<[StreamedContent['type'], string]>([
    ['application/x-ndjson', '\n'.repeat(64 * 1024)],
    ['application/x-ndjson', `${' '.repeat(64 * 1024 - 1)}\n`],
    ['application/json', `[${' '.repeat(64 * 1024 - 2)}]`],
    ['text/csv', `event_type,severity,message${'\r\n'.repeat(32 * 1024)}`],
  ])('gives it up where no event is: %s %.10j', async (type, file) => {
    expect(await read(type, file)).toEqual({ imported: 0, rejected: 0, errors: [] });
    expect(turns).toBeGreaterThanOrEqual(4);
  });

  it.each<[StreamedContent['type'], string]>([
    ['application/x-ndjson', '{}\n'.repeat(COUNT)],
    ['application/json', `[${'1,'.repeat(COUNT - 1)}1]`],
  ])('parses nothing that is too short for an event once nobody is told what is wrong: %s', async (type, file) => {
    const parse = jest.spyOn(JSON, 'parse');
    expect(await read(type, file)).toMatchObject({ rejected: COUNT });
    expect(parse.mock.calls).toHaveLength(MAX_IMPORT_ERRORS);
  });

  it('leaves the errors of others their stacks', async () => {
    const { stackTraceLimit } = Error;
    await read('application/x-ndjson', 'x\n');
    expect(Error.stackTraceLimit).toBe(stackTraceLimit);
  });
});

describe('many imports at once', () => {
  const details = { x: 'x'.repeat(200_000) };
  const event = JSON.stringify({ event_type: 'x', severity: 'info', message: 'x'.repeat(65_536), details });
  const line = Buffer.from(`${event}\n`);
  const limit = 32 * 1024 * 1024;
  const fullAfter = Math.ceil(limit / line.length);

  afterEach(() => jest.restoreAllMocks());

  /** Stores nothing before `mayStore`. */
  function serviceWith(mayStore: Promise<void>, insert = jest.fn()): EventImportService {
    const store = (records: string[]): Promise<{ id: number }[]> => {
      insert(records.length);
      return Promise.resolve(records.map((_, id) => ({ id })));
    };
    return new EventImportService(
      { transaction: (work: () => Promise<unknown>) => work() } as unknown as DatabaseService,
      { insertMany: store } as unknown as EventStore,
      { changing: (_keys: unknown, work: (announce: unknown) => unknown) => work(() => undefined) } as never,
      { batches: { run: (work: () => Promise<unknown>) => mayStore.then(work) } } as unknown as EventQuotas,
    );
  }

  /** An upload of so many large events, which ends with `end`. */
  async function* upload(events: number, end: Promise<void>): AsyncGenerator<Buffer, void> {
    for (let count = 0; count < events; count++) yield line;
    await end;
  }

  it('reads little of what has to wait to be stored', async () => {
    const parse = jest.spyOn(JSON, 'parse');
    const done = Promise.resolve();
    let store: () => void = () => undefined;
    const service = serviceWith(new Promise((resolve) => (store = resolve)));
    const imports = Array.from({ length: UPLOADS }, () =>
      service.import({ type: 'application/x-ndjson', chunks: upload(EVENTS, done) }),
    );
    while (parse.mock.calls.length < fullAfter - 1) await nextTurn();
    for (let turn = 0; turn < 1000; turn++) await nextTurn();
    expect(parse.mock.calls.length).toBeLessThanOrEqual(fullAfter);

    store();
    for (const result of await Promise.all(imports)) expect(result).toMatchObject({ imported: EVENTS, rejected: 0 });
  });

  it('stores each event at once where uploads that come to a halt hold much', async () => {
    const parse = jest.spyOn(JSON, 'parse');
    const insert = jest.fn();
    const service = serviceWith(Promise.resolve(), insert);
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const begin = (events: number): Promise<ImportResultDto> =>
      service.import({ type: 'application/x-ndjson', chunks: upload(events, ended) });
    const halted = Array.from({ length: fullAfter - 1 }, () => begin(1));
    while (parse.mock.calls.length < fullAfter - 1) await nextTurn();
    expect(insert).not.toHaveBeenCalled();

    const others = Array.from({ length: UPLOADS }, () => begin(1));
    while (insert.mock.calls.length < UPLOADS) await nextTurn();

    end();
    for (const result of await Promise.all([...halted, ...others])) expect(result.imported).toBe(1);
  });
});
