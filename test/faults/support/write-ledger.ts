import { Client } from 'pg';
import type { TestApp } from '../../support/test-app';
import type { ApiAnswer } from './http-client';
import type { Operation } from './openapi-document';
import type { ApiRequest } from './openapi-requests';

/** Rows that were written. */
export interface Writes {
  inserted: number;
  updated: number;
  deleted: number;
  keys: number;
}

export const NOTHING: Writes = { inserted: 0, updated: 0, deleted: 0, keys: 0 };

/** Notes every row that is written to the events and idempotency keys of an application, whoever writes it. */
export class WriteLedger {
  private constructor(private readonly client: Client) {}

  /** @param serviceName the source of the application's own events, which it stores in its own time */
  static async open(api: TestApp, serviceName: string): Promise<WriteLedger> {
    const client = new Client({ connectionString: api.databaseUrl });
    await client.connect();
    await client.query(`
      CREATE TABLE noted_writes (kind text NOT NULL);
      CREATE FUNCTION note_write() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO noted_writes VALUES (TG_ARGV[0]);
        RETURN NULL;
      END $$;
      CREATE TRIGGER note_insert AFTER INSERT ON system_events FOR EACH ROW
        WHEN (NEW.source IS DISTINCT FROM ${client.escapeLiteral(serviceName)}) EXECUTE FUNCTION note_write('inserted');
      CREATE TRIGGER note_update AFTER UPDATE ON system_events FOR EACH ROW EXECUTE FUNCTION note_write('updated');
      CREATE TRIGGER note_delete AFTER DELETE ON system_events FOR EACH ROW EXECUTE FUNCTION note_write('deleted');
      CREATE TRIGGER note_key AFTER INSERT ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION note_write('keys')`);
    return new WriteLedger(client);
  }

  /** What was written since the last time. */
  async take(): Promise<Writes> {
    const { rows } = await this.client.query<{ kind: keyof Writes; count: number }>(
      `WITH taken AS (DELETE FROM noted_writes RETURNING kind) SELECT kind, count(*)::int FROM taken GROUP BY kind`,
    );
    return { ...NOTHING, ...Object.fromEntries(rows.map(({ kind, count }) => [kind, count])) };
  }

  close(): Promise<void> {
    return this.client.end();
  }
}

/** What an answer acknowledges. */
export function acknowledged(operation: Operation | undefined, request: ApiRequest, answer: ApiAnswer): Writes {
  const isDone = answer.status >= 200 && answer.status < 300 && answer.headers['idempotent-replayed'] !== 'true';
  const keys = isDone && request.headers.some(([name]) => name.toLowerCase() === 'idempotency-key') ? 1 : 0;
  switch (operation?.id) {
    case 'createEvent':
      return { ...NOTHING, inserted: isDone ? 1 : 0, keys };
    case 'createEvents':
      return { ...NOTHING, inserted: isDone ? numberIn(answer, 'accepted') : 0, keys };
    case 'importEvents':
      return { ...NOTHING, inserted: isDone ? numberIn(answer, 'imported') : importedBefore(answer) };
    case 'updateEvent':
    case 'putEvent':
      return { ...NOTHING, updated: isDone && changesAnything(request) ? 1 : 0 };
    case 'deleteEvent':
      return { ...NOTHING, deleted: isDone ? 1 : 0 };
    case 'deleteEvents':
      return { ...NOTHING, deleted: isDone && !isDryRun(request) ? numberIn(answer, 'deleted') : 0 };
    default:
      return NOTHING;
  }
}

export function sum(all: Writes[]): Writes {
  return all.reduce(
    (total, { inserted, updated, deleted, keys }) => ({
      inserted: total.inserted + inserted,
      updated: total.updated + updated,
      deleted: total.deleted + deleted,
      keys: total.keys + keys,
    }),
    NOTHING,
  );
}

function numberIn({ text }: ApiAnswer, field: string): number {
  return (JSON.parse(text) as Record<string, number>)[field] ?? NaN;
}

// As the document says: what stood before the place where a file is broken stays, and the error tells how much it was.
function importedBefore({ text }: ApiAnswer): number {
  return Number(/(\d+) events were imported/.exec(text)?.[1] ?? 0);
}

function changesAnything({ body }: ApiRequest): boolean {
  const text = Buffer.from(body ?? []).toString();
  return Object.keys(JSON.parse(text.replace(/^\ufeff/, '')) as object).length > 0;
}

function isDryRun({ target }: ApiRequest): boolean {
  return new URL(target, 'http://deck').searchParams.get('dry_run') === 'true';
}
