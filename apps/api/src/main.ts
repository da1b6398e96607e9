import 'reflect-metadata';
import { ConfigError, createLogger, EmbeddedPostgresError, loadProcessConfig, type Config } from '@app/platform';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Exit codes of a process that a signal ended (POSIX: 128 and the number of the signal). */
const EXIT_CODES = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 };

async function main(): Promise<void> {
  const config = loadProcessConfig();
  const logger = createLogger(config.logLevel, config.serviceName);
  exitOnSecondSignal();
  // Imported only now: what it imports reads the configuration too, and its problems are reported above.
  const { createApp } = await import('./app.js');
  const app = await createApp(config, logger);
  app.enableShutdownHooks([...SIGNALS], { useProcessExit: true });
  await app.listen(config.http.port, config.http.host);
  logger.info(`eventdeck ${config.version} listens on ${await app.getUrl()} (${describeStores(config)})`);
}

function describeStores({ database, cache }: Config): string {
  const server =
    database.url === undefined ? `embedded PostgreSQL in ${database.dataDir}` : 'PostgreSQL of DATABASE_URL';
  return `${server}, cache: ${cache.mode}`;
}

function exitOnSecondSignal(): void {
  let stopping = false;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (stopping) process.exit(EXIT_CODES[signal]);
      stopping = true;
    });
  }
}

main().catch((error: unknown) => {
  const expected = error instanceof ConfigError || error instanceof EmbeddedPostgresError || isListenError(error);
  console.error(expected ? (error as Error).message : error);
  process.exit(1);
});

function isListenError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'listen';
}
