import { loadConfig, MigrationDataSource } from '@app/platform';
import { schema } from '../../ormconfig';
import { query, type TestDatabase } from './databases';

/** The table of an earlier backend, with column definitions or rules of somebody's own at its end. */
export const earlierTable = (own = ''): string => `
  CREATE TABLE system_events (
    id serial PRIMARY KEY,
    event_type varchar(50) NOT NULL,
    severity varchar(20) NOT NULL,
    message varchar(1000) NOT NULL,
    details json,
    source varchar(100),
    "timestamp" timestamp DEFAULT CURRENT_TIMESTAMP,
    created_at timestamp DEFAULT CURRENT_TIMESTAMP${own === '' ? '' : `, ${own}`}
  );`;

/** SQL of rows of such a table; the ids from 1 on. */
export const EARLIER_ROWS = `
  INSERT INTO system_events (event_type, severity, message, details, source, "timestamp", created_at) VALUES
    ('startup', 'info', 'first', '{"a": 1}', 'api', '2025-03-30 02:30:00', '2025-03-30 02:30:01'),
    ('deployment', 'error', 'second', NULL, NULL, '2025-03-31 02:30:00', '2025-03-31 02:30:01');`;

/** Runs SQL on an empty database and then every migration. @throws what the migrations throw */
export async function adopt(database: TestDatabase, ...sql: string[]): Promise<void> {
  await query(database.url, sql.join('\n'));
  const dataSource = new MigrationDataSource(loadConfig({ DATABASE_URL: database.url }).database, schema);
  await dataSource.initialize();
  // TypeORM prints a failure as well.
  const print = jest.spyOn(console, 'log').mockImplementation();
  try {
    await dataSource.runMigrations();
  } finally {
    print.mockRestore();
    await dataSource.destroy();
  }
}
