import { databaseName, query } from './databases';
import { until } from './services';

/** The clock of a database, as its own statements see it; what the tables have as defaults is the real one. */
export interface MovableClock {
  /** Shows a time so many hours ahead, of negative ones behind. */
  set(hours: number): Promise<void>;
  /** How often a process has looked at it. */
  looks(): Promise<number>;
  /** Resolves once a process has looked at it `times` times from now on. */
  looked(times?: number): Promise<void>;
}

/** Puts a function in front of `now()` in the search path, for connections that are made from now on. */
export async function movableClock(url: string): Promise<MovableClock> {
  await query(url, 'CREATE TABLE clock_shift AS SELECT 0::float8 AS hours');
  await query(
    url,
    `CREATE FUNCTION now() RETURNS timestamptz STABLE LANGUAGE sql
       AS $$ SELECT pg_catalog.now() + make_interval(secs => hours * 3600) FROM public.clock_shift $$`,
  );
  await query(url, `ALTER DATABASE ${databaseName(url)} SET search_path = public, pg_catalog`);
  await query(url, 'CREATE TABLE looks ()');
  await query(
    url,
    'CREATE FUNCTION note_look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO looks DEFAULT VALUES; RETURN NULL; END $$',
  );
  await query(
    url,
    'CREATE TRIGGER note_look AFTER INSERT ON database_clock FOR EACH STATEMENT EXECUTE FUNCTION note_look()',
  );
  const looks = async (): Promise<number> => (await query(url, 'SELECT FROM looks')).length;
  return {
    looks,
    set: async (hours) => void (await query(url, 'UPDATE clock_shift SET hours = $1', [hours])),
    // One more: the first may have begun before.
    looked: async (times = 1) => {
      const enough = (await looks()) + times + 1;
      await until(async () => (await looks()) >= enough, 'the clock is looked at');
    },
  };
}
