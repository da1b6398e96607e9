import { loadConfig, MigrationDataSource } from '@app/platform';
import { schema } from '../../ormconfig';
import { query, useDatabases, withDatabase } from '../support/databases';
import { testEnvironment } from '../support/environment';
import { insert, WRONG_COUNTS } from '../support/event-counts';

describe('the counts of events that were there before', () => {
  const createDatabase = useDatabases();

  it('are exact from the first moment, and can be taken back', async () => {
    const { url } = await createDatabase();
    const migrations = new MigrationDataSource(loadConfig({ DATABASE_URL: url }).database, schema);
    await migrations.initialize();
    try {
      const isThere = async (): Promise<boolean> => {
        const [row] = await query<{ name: string | null }>(url, `SELECT to_regclass('event_totals')::text AS name`);
        return row?.name != null;
      };
      while (await isThere()) await migrations.undoLastMigration();
      await query(url, insert(1000));
      await query(url, 'ALTER TABLE system_events DROP CONSTRAINT system_events_severity_check');
      await query(url, `UPDATE system_events SET severity = 'notice' WHERE id % 10 = 0`);
      await migrations.runMigrations();
      expect(await query(url, WRONG_COUNTS)).toEqual([]);
      expect(await query(url, 'SELECT FROM event_count_deltas')).toEqual([]);
      expect((await query(url, 'SELECT sum(events)::int AS events FROM event_totals'))[0]).toEqual({ events: 1000 });
      await query(url, 'DELETE FROM system_events WHERE id % 3 = 0');
      expect(await query(url, WRONG_COUNTS)).toEqual([]);
    } finally {
      await migrations.destroy();
    }
  });

  it('are kept in a schema of any name', async () => {
    const { postgresUrl } = testEnvironment();
    const { url } = await createDatabase(null);
    await query(url, 'CREATE SCHEMA "The ""Events"""');
    const changed = new URL(withDatabase(postgresUrl, new URL(url).pathname.slice(1)));
    changed.searchParams.set('options', '-c search_path="The\\ ""Events"""');
    const migrations = new MigrationDataSource(loadConfig({ DATABASE_URL: changed.toString() }).database, schema);
    await migrations.initialize();
    try {
      await migrations.runMigrations();
      await query(url, insert(50).replace('system_events', '"The ""Events""".system_events'));
      expect(await query(changed.toString(), WRONG_COUNTS)).toEqual([]);
    } finally {
      await migrations.destroy();
    }
  });
});
