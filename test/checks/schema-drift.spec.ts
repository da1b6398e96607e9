import { loadConfig, MigrationDataSource } from '@app/platform';
import { schema } from '../../ormconfig';
import { query, useDatabases } from '../support/databases';

describe('the schema', () => {
  const createDatabase = useDatabases();

  async function withMigrations<T>(url: string, work: (dataSource: MigrationDataSource) => Promise<T>): Promise<T> {
    const dataSource = new MigrationDataSource(loadConfig({ DATABASE_URL: url }).database, schema);
    await dataSource.initialize();
    return work(dataSource).finally(() => dataSource.destroy());
  }

  const tablesOf = async (url: string): Promise<string[]> => {
    const rows = await query<{ name: string }>(
      url,
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1`,
    );
    return rows.map(({ name }) => name);
  };

  const columnsAndRulesOf = (url: string): Promise<unknown[]> =>
    query(
      url,
      `SELECT attrelid::regclass::text AS place, attname AS name, format_type(atttypid, atttypmod) AS what, attnotnull AS extra
         FROM pg_attribute WHERE attrelid IN ('system_events'::regclass, 'service_runs'::regclass) AND attnum > 0
       UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated
         FROM pg_constraint WHERE connamespace = 'public'::regnamespace
       UNION ALL SELECT tablename, indexname, indexdef, true FROM pg_indexes WHERE schemaname = 'public'
       ORDER BY 1, 2, 3`,
    );

  it('of the migrations is the one of the entities', async () => {
    const { url } = await createDatabase();
    const differences = await withMigrations(url, (dataSource) => dataSource.driver.createSchemaBuilder().log());
    expect(differences.upQueries.map(({ query: text }) => text)).toEqual([]);
  });

  it('can be taken back step by step, and made again the same', async () => {
    const { url } = await createDatabase(null);
    await withMigrations(url, async (dataSource) => {
      const names = dataSource.migrations.map(({ name }) => name);
      const applied = await dataSource.runMigrations();
      expect(applied.map(({ name }) => name)).toEqual(names);
      expect(await dataSource.runMigrations()).toEqual([]);
      const first = await columnsAndRulesOf(url);
      while ((await query(url, 'SELECT FROM migrations')).length > 0) await dataSource.undoLastMigration();
      // The second is TypeORM's own, made for generated columns and left empty.
      expect(await tablesOf(url)).toEqual(['migrations', 'typeorm_metadata']);
      await dataSource.runMigrations();
      expect(await columnsAndRulesOf(url)).toEqual(first);
    });
  });

  it('has every migration in the order of its name', () => {
    const times = (schema.migrations as { name: string }[]).map(({ name }) => Number(/\d+$/.exec(name)?.[0]));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times.every(Number.isSafeInteger)).toBe(true);
  });
});
