import { Injectable } from '@nestjs/common';
import {
  AppError,
  databaseFault,
  DatabaseService,
  execute,
  inTransaction,
  Statement,
  type Connection,
} from '@app/platform';
import { EVENT_JSON, type StoredEvent } from './event-json';
import type { CreateEventDto } from './events.dto';
import { parseTimestamp } from './timestamp';

/** An event that passed the rules. */
export type NewEvent = Omit<CreateEventDto, 'timestamp'> & { timestamp?: string | Date };

/** The columns of `json_to_recordset` for events as `toRecord` writes them. */
export const NEW_EVENT_COLUMNS =
  'event_type text, severity text, message text, details jsonb, source text, "timestamp" timestamptz';

/** The columns that a new event gives, and their values from such a record. */
export const INSERTED = 'event_type, severity, message, details, source, "timestamp"';
export const INSERTED_VALUES = 'event_type, severity, message, details, source, coalesce("timestamp", now())';

// Ids are given in the order of the rows, so that the ids in order are those of the events in order; the order of
// RETURNING is no promise of SQL. One value for all rows: node-postgres takes its time for each that it reads.
const insert = (returning: string, all: string): string => `
  WITH stored AS (
    INSERT INTO system_events (${INSERTED})
    SELECT ${INSERTED_VALUES}
    FROM ROWS FROM (json_to_recordset($1::json) AS (${NEW_EVENT_COLUMNS}))
      WITH ORDINALITY AS new (${INSERTED}, place)
    ORDER BY place
    RETURNING id, ${returning}
  )
  SELECT ${all} AS stored FROM stored`;

// JSON text has no line breaks of its own.
const INSERT_EVENTS = new Statement<{ stored: string }>(
  'insert-events',
  insert(`${EVENT_JSON} AS json`, `string_agg(json, E'\\n' ORDER BY id)`),
);
// The same for one, without what only several need.
const INSERT_EVENT = new Statement<{ stored: string }>(
  'insert-event',
  `INSERT INTO system_events (${INSERTED})
   SELECT ${INSERTED_VALUES} FROM json_to_record($1::json) AS new (${NEW_EVENT_COLUMNS})
   RETURNING ${EVENT_JSON} AS stored`,
);
const INSERT_EVENTS_FOR_IDS = new Statement<{ stored: string }>(
  'insert-events-for-ids',
  insert('NULL', `string_agg(id::text, ' ' ORDER BY id)`),
);

/** What every event has at first. */
const FIRST_VERSION = '1';

/** Where the digits of the id stand in the JSON of an event. */
const ID_START = '{"id":'.length;

/** Stores many events, given as `toRecord` writes them, in one statement. */
@Injectable()
export class EventStore {
  constructor(private readonly database: DatabaseService) {}

  /**
   * Stores events and reads them back as they are answered; a bad one fails alone, with an AppError in its place.
   *
   * @throws AppError `unavailable` for all of them: whether they were stored is not known then
   */
  insert(records: readonly string[]): Promise<(StoredEvent | AppError)[]> {
    return eachOrAlone(this.database, records, async (some, attempt) => {
      const [row] = await attempt((connection) =>
        some.length === 1 ? INSERT_EVENT.run(connection, [some[0]]) : INSERT_EVENTS.run(connection, [toArray(some)]),
      );
      return (row?.stored ?? '').split('\n').map(toStored);
    });
  }

  /** The same, for the ids alone; on `connection`, in a transaction under way, or else by itself. */
  async insertMany(records: readonly string[], connection?: Connection): Promise<({ id: number } | AppError)[]> {
    const insertSome: Work<string, { id: number }> = async (some, attempt) => {
      const [row] = await attempt((within) => INSERT_EVENTS_FOR_IDS.run(within, [toArray(some)]));
      return (row?.stored ?? '').split(' ').map((id) => ({ id: Number(id) }));
    };
    return connection
      ? eachOrAloneWithin(connection, records, insertSome)
      : eachOrAlone(this.database, records, insertSome);
  }
}

/** Sends a statement on a connection that it is given; one that fails has changed nothing and may be sent again. */
export type Attempt = <T>(send: (connection: Connection) => Promise<T>) => Promise<T>;

type Work<Item, Result> = (items: readonly Item[], attempt: Attempt) => Promise<Result[]>;

/**
 * What `work` makes of all items in one statement; where their data is at fault, of one half and the other, down to the
 * item that is, in one transaction. Any other fault is everybody's: a connection that broke leaves open what was done,
 * and must not be tried again.
 *
 * @throws AppError `unavailable`
 */
export async function eachOrAlone<Item, Result>(
  database: DatabaseService,
  items: readonly Item[],
  work: Work<Item, Result>,
): Promise<(Result | AppError)[]> {
  if (items.length === 0) return [];
  return database.onConnection(async (connection) => {
    try {
      return await work(items, (send) => send(connection));
    } catch (error) {
      const fault = dataFaultOf(error);
      if (items.length === 1) return [fault];
      return inTransaction(connection, () => eachOrAloneWithin(connection, items, work));
    }
  });
}

async function eachOrAloneWithin<Item, Result>(
  connection: Connection,
  items: readonly Item[],
  work: Work<Item, Result>,
): Promise<(Result | AppError)[]> {
  if (items.length === 0) return [];
  try {
    return await work(items, (send) => inSavepoint(connection, () => send(connection)));
  } catch (error) {
    const fault = dataFaultOf(error);
    if (items.length === 1) return [fault];
    const middle = items.length >> 1;
    return [
      ...(await eachOrAloneWithin(connection, items.slice(0, middle), work)),
      ...(await eachOrAloneWithin(connection, items.slice(middle), work)),
    ];
  }
}

// The database names no field of the request.
function dataFaultOf(error: unknown): AppError {
  const fault = databaseFault(error) ?? error;
  if (!(fault instanceof AppError && fault.kind === 'invalid')) throw fault;
  return new AppError('invalid', fault.message, {
    errors: [{ detail: fault.message, pointer: '#' }],
    cause: fault.cause,
  });
}

async function inSavepoint<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  await execute(connection, 'SAVEPOINT events');
  try {
    return await work();
  } catch (error) {
    await execute(connection, 'ROLLBACK TO SAVEPOINT events');
    throw error;
  }
}

/** An event, and what else a statement needs with it, as the JSON text of a record of `NEW_EVENT_COLUMNS`. */
export function toRecord(event: NewEvent, also?: Record<string, string>): string {
  const { event_type, severity, message, details, source, timestamp } = event;
  const moment = typeof timestamp === 'string' ? parseTimestamp(timestamp) : timestamp;
  return JSON.stringify({ ...also, event_type, severity, message, details, source, timestamp: moment });
}

function toArray(records: readonly string[]): string {
  return `[${records.join(',')}]`;
}

function toStored(json: string): StoredEvent {
  return { id: parseInt(json.slice(ID_START), 10), version: FIRST_VERSION, json };
}
