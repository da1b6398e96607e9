import { Client } from 'pg';
import { areFolded, insert, WRONG_COUNTS } from '../support/event-counts';
import { startEmptyApp } from '../support/events';
import { startApp } from '../support/test-app';

type Execute = (sql: string) => Promise<unknown[]>;

const execute =
  (client: Client): Execute =>
  async (sql) =>
    (await client.query<Record<string, unknown>>(sql)).rows;

describe('the counts of events, changed by many at once', () => {
  const CLIENTS = 6;

  it('are exact at every moment, while they are compacted too', async () => {
    const api = await startEmptyApp();
    // A second process that compacts the same counts.
    const other = await startApp({}, { url: api.databaseUrl, drop: () => Promise.resolve() });
    const clients = await Promise.all(
      Array.from({ length: CLIENTS + 1 }, async () => {
        const client = new Client({ connectionString: api.databaseUrl });
        await client.connect();
        return client;
      }),
    );
    try {
      const [reader, ...writers] = clients as [Client, ...Client[]];
      let folded = 0;
      let previous = 0;
      let isDone = false;
      const watch = async (): Promise<void> => {
        const read = execute(reader);
        while (!isDone) {
          await read('BEGIN ISOLATION LEVEL REPEATABLE READ');
          // In two statements, of one snapshot.
          const wrong = [...(await read(WRONG_COUNTS)), ...(await read(WRONG_COUNTS))];
          const now = Number(
            ((await read('SELECT count(*) AS count FROM event_count_deltas')) as { count: string }[])[0]?.count,
          );
          await read('COMMIT');
          expect(wrong).toEqual([]);
          if (now < previous) folded++;
          previous = now;
          isDone = folded >= 4;
        }
      };
      let seed = 1;
      const random = (below: number): number => {
        seed = (seed * 48_271) % 2_147_483_647;
        return seed % below;
      };
      const write = async (client: Client): Promise<void> => {
        while (!isDone) await change(execute(client), random);
      };
      await Promise.all([watch(), ...writers.map(write)].map((work) => work.finally(() => (isDone = true))));
      expect(await api.sql(WRONG_COUNTS)).toEqual([]);
      await areFolded(api);
      expect(await api.sql(WRONG_COUNTS)).toEqual([]);
      expect(await api.sql('SELECT FROM event_totals WHERE events <= 0')).toEqual([]);
      expect(await api.sql('SELECT FROM event_minutes WHERE events <= 0')).toEqual([]);
    } finally {
      await Promise.all(clients.map((client) => client.end()));
      await other.close();
      await api.close();
    }
  });

  async function change(execute: Execute, random: (below: number) => number): Promise<void> {
    const some = `WHERE id % ${2 + random(5)} = 0`;
    const time = `timestamptz '2026-01-31T09:00:00Z' + ${random(1000)} * interval '17.3 seconds'`;
    const changes = [
      insert(1, random(1000)),
      insert(1, random(1000)),
      insert(1 + random(80), random(1000)),
      `UPDATE system_events SET "timestamp" = ${time}, severity = 'error' ${some}`,
      `UPDATE system_events SET source = nullif('source-' || id % 3, 'source-1'), event_type = 'moved-${random(3)}' ${some}`,
      `DELETE FROM system_events ${some}`,
      ...(random(20) === 0 ? ['TRUNCATE system_events'] : []),
    ];
    const pick = (): string => changes[random(changes.length)] ?? insert(1);
    const isTransaction = random(3) === 0;
    try {
      if (isTransaction) await execute('BEGIN');
      await execute(pick());
      if (!isTransaction) return;
      await execute(pick());
      await execute(random(2) === 0 ? 'COMMIT' : 'ROLLBACK');
    } catch (error) {
      // Writers of the same rows in another order: PostgreSQL refuses one of them.
      if ((error as { code?: string }).code !== '40P01') throw error;
      if (isTransaction) await execute('ROLLBACK');
    }
  }
});
