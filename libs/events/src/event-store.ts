import { Injectable } from '@nestjs/common';
import { AppError, databaseFault, DatabaseService, Statement, type Connection } from '@app/platform';
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
// RETURNING is no promise of SQL.
const insert = (returning: string): string => `
  INSERT INTO system_events (${INSERTED})
  SELECT ${INSERTED_VALUES}
  FROM ROWS FROM (json_to_recordset($1::json) AS (${NEW_EVENT_COLUMNS}))
    WITH ORDINALITY AS new (${INSERTED}, place)
  ORDER BY place
  RETURNING ${returning}`;

const INSERT_EVENTS = new Statement<{ id: string; version: string; json: string }>(
  'insert-events',
  insert(`id, version, ${EVENT_JSON} AS json`),
);
const INSERT_EVENTS_FOR_IDS = new Statement<{ id: string }>('insert-events-for-ids', insert('id'));

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
    return eachOrAlone(records, async (some) => {
      const rows = await INSERT_EVENTS.run(this.database.pool, [`[${some.join(',')}]`]);
      return rows.map((row) => ({ ...row, id: Number(row.id) })).sort(byId);
    });
  }

  /** The same, for the ids alone; on `connection`, in a transaction under way, or else by itself. */
  async insertMany(records: readonly string[], connection?: Connection): Promise<({ id: number } | AppError)[]> {
    const within = connection ?? this.database.pool;
    return eachOrAlone(records, (some) => {
      const run = async (): Promise<{ id: number }[]> => {
        const rows = await INSERT_EVENTS_FOR_IDS.run(within, [`[${some.join(',')}]`]);
        return rows.map(({ id }) => ({ id: Number(id) })).sort(byId);
      };
      return connection ? inSavepoint(connection, run) : run();
    });
  }

  /** Stores all events or none. @throws AppError `invalid`, `unavailable` */
  async insertAll(records: readonly string[], connection?: Connection): Promise<{ id: number }[]> {
    const rows = await INSERT_EVENTS_FOR_IDS.run(connection ?? this.database.pool, [`[${records.join(',')}]`]);
    return rows.map(({ id }) => ({ id: Number(id) })).sort(byId);
  }
}

/**
 * What `run` makes of all items; where their data is at fault, of one half and the other, down to the item that is. Any
 * other fault is everybody's: a connection that broke leaves open what was done, and must not be tried again.
 */
export async function eachOrAlone<Item, Result>(
  items: readonly Item[],
  run: (items: readonly Item[]) => Promise<Result[]>,
): Promise<(Result | AppError)[]> {
  if (items.length === 0) return [];
  try {
    return await run(items);
  } catch (error) {
    const fault = databaseFault(error) ?? error;
    if (!(fault instanceof AppError && fault.kind === 'invalid')) throw fault;
    if (items.length === 1) return [fault];
    const middle = items.length >> 1;
    return [...(await eachOrAlone(items.slice(0, middle), run)), ...(await eachOrAlone(items.slice(middle), run))];
  }
}

async function inSavepoint<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  await connection.query({ text: 'SAVEPOINT events' });
  try {
    return await work();
  } catch (error) {
    await connection.query({ text: 'ROLLBACK TO SAVEPOINT events' });
    throw error;
  }
}

/** An event, and what else a statement needs with it, as the JSON text of a record of `NEW_EVENT_COLUMNS`. */
export function toRecord(event: NewEvent, also?: Record<string, string>): string {
  const { event_type, severity, message, details, source, timestamp } = event;
  const moment = typeof timestamp === 'string' ? parseTimestamp(timestamp) : timestamp;
  return JSON.stringify({ ...also, event_type, severity, message, details, source, timestamp: moment });
}

function byId(one: { id: number }, other: { id: number }): number {
  return one.id - other.id;
}
