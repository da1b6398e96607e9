import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { QueryFailedError } from 'typeorm';
import { AppError, CacheService, DatabaseService, Statement, type IdempotencyKey } from '@app/platform';
import { newEventKeys } from './event-cache-keys';
import { EVENT_JSON } from './event-json';
import {
  eachOrAlone,
  INSERTED,
  INSERTED_VALUES,
  NEW_EVENT_COLUMNS,
  toRecord,
  type Attempt,
  type NewEvent,
} from './event-store';
import { IdempotencyService, lockOf, replay, stillUnderWay, type Answer, type KnownKey } from './idempotency.service';
import { WriteQueue } from './write-queue';

interface KeyedRecord {
  eventType: string;
  json: string;
}

interface KeyedRow extends KnownKey {
  place: string;
  known: boolean;
}

/**
 * Stores the events whose keys are new, and the answer with them. A key that another process is storing under is left
 * out of the result: waiting for it would hold everybody else up.
 */
const INSERT_KEYED_EVENTS = new Statement<KeyedRow>(
  'insert-keyed-events',
  `WITH new AS MATERIALIZED (
     SELECT place, decode(digest, 'hex') AS digest, decode(fingerprint, 'hex') AS fingerprint, lock, ${INSERTED}
     FROM ROWS FROM (json_to_recordset($1::json) AS (digest text, fingerprint text, lock bigint, ${NEW_EVENT_COLUMNS}))
       WITH ORDINALITY AS record (digest, fingerprint, lock, ${INSERTED}, place)
   ), known AS MATERIALIZED (
     SELECT place, keys.fingerprint = new.fingerprint AS same, keys.headers, keys.body
     FROM new JOIN idempotency_keys AS keys USING (digest)
   ), locked AS MATERIALIZED (
     SELECT place, row_number() OVER (ORDER BY place) AS position FROM new
     WHERE place NOT IN (SELECT place FROM known) AND pg_try_advisory_xact_lock(lock)
   ), stored AS (
     INSERT INTO system_events (${INSERTED})
     SELECT ${INSERTED_VALUES} FROM new JOIN locked USING (place) ORDER BY place
     RETURNING id, version, ${EVENT_JSON} AS body
   ), answered AS MATERIALIZED (
     SELECT place, body,
       jsonb_build_object('location', '/api/events/' || id, 'etag', '"' || id || '-' || version || '"') AS headers
     FROM locked JOIN (SELECT *, row_number() OVER (ORDER BY id) AS position FROM stored) AS numbered USING (position)
   ), remembered AS (
     INSERT INTO idempotency_keys (digest, fingerprint, status, headers, body)
     SELECT digest, fingerprint, 201, headers, body FROM new JOIN answered USING (place)
   )
   SELECT place, false AS known, true AS same, headers, body FROM answered
   UNION ALL SELECT place, true, same, headers, body FROM known`,
);

/** A key that another process stored between our look and our lock; on the next look it is known. */
const KEY_STORED_MEANWHILE = 'idempotency_keys_pkey';

/** Stores single events with an `Idempotency-Key` as they come, all that wait in one statement. */
@Injectable()
export class KeyedEventWriter implements OnApplicationShutdown {
  private readonly queue: WriteQueue<KeyedRecord, Answer>;

  constructor(
    private readonly database: DatabaseService,
    private readonly keys: IdempotencyService,
    private readonly cache: CacheService,
  ) {
    this.queue = new WriteQueue((records) => this.flush(records));
  }

  /**
   * Stores an event under a key that is new, or repeats the answer of the first time.
   *
   * @throws AppError `conflict` while the key is under way, `invalid`, `unavailable`
   */
  write(event: NewEvent, key: IdempotencyKey): Promise<Answer> {
    return this.keys.exclusively(key, () => {
      const { digest, fingerprint } = key;
      const json = toRecord(event, { digest, fingerprint, lock: lockOf(key) });
      return this.queue.add({ eventType: event.event_type, json }, json.length);
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.queue.drained();
  }

  private flush(records: readonly KeyedRecord[]): Promise<(Answer | AppError)[]> {
    return this.cache.changing(newEventKeys(records.map(({ eventType }) => eventType)), async (announce) => {
      await announce();
      return eachOrAlone(this.database, records, insertUnlessStored);
    });
  }
}

async function insertUnlessStored(records: readonly KeyedRecord[], attempt: Attempt): Promise<(Answer | AppError)[]> {
  const values = [`[${records.map(({ json }) => json).join(',')}]`];
  const insert = (): Promise<KeyedRow[]> => attempt((connection) => INSERT_KEYED_EVENTS.run(connection, values));
  const rows = await insert().catch((error: QueryFailedError<Error & { constraint?: string }>) => {
    if (error.driverError?.constraint !== KEY_STORED_MEANWHILE) throw error;
    return insert();
  });
  const byPlace = new Map(rows.map((row) => [Number(row.place), row]));
  return records.map((_record, index) => answerOf(byPlace.get(index + 1)));
}

function answerOf(row: KeyedRow | undefined): Answer | AppError {
  if (!row) return stillUnderWay();
  return row.known ? replay(row) : { headers: row.headers, body: row.body, isReplayed: false };
}
