import 'reflect-metadata';
import type { INestApplicationContext } from '@nestjs/common';
import type { NestApplicationContext } from '@nestjs/core';
import type { Logger } from 'pino';
import { ConfigError, createLogger, DatabaseServer, EmbeddedPostgresError, loadProcessConfig } from '@app/platform';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Exit codes of a process that a signal ended (POSIX: 128 and the number of the signal). */
const EXIT_CODES = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 };

/** Milliseconds from the signal to the end, also where a database or a client hangs: a supervisor would kill later. */
const SHUTDOWN_LIMIT_MS = 24_000;

/** Ctrl-C can come twice: npm passes on what the terminal has sent to all of its processes. */
const SAME_SIGNAL_MS = 500;

async function main(): Promise<void> {
  const config = loadProcessConfig();
  const logger = createLogger(config.logLevel, config.serviceName);
  // Imported only now: what it imports reads the configuration too, and its problems are reported above.
  const { startApp } = await import('./app.js');
  const starting = startApp(config, logger);
  stopOnSignal(starting, logger);
  const app = await starting;
  const stores = `${app.get(DatabaseServer).describe()}, cache: ${config.cache.mode}`;
  logger.info(`eventdeck ${config.version} listens on ${await app.getUrl()} (${stores})`);
}

// Not Nest's own listeners: they would miss a signal that comes while the application is still being made.
function stopOnSignal(starting: Promise<INestApplicationContext>, logger: Logger): void {
  let stoppingSince: number | undefined;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (stoppingSince !== undefined) {
        if (performance.now() - stoppingSince > SAME_SIGNAL_MS) process.exit(EXIT_CODES[signal]);
        return;
      }
      stoppingSince = performance.now();
      setTimeout(() => leave(logger), SHUTDOWN_LIMIT_MS).unref();
      starting
        // The interface leaves the signal out that the class takes and hands to the hooks.
        .then((app) => (app as NestApplicationContext).close(signal))
        .then(
          () => process.exit(0),
          (error: unknown) => {
            logger.error({ err: error }, 'the shutdown failed');
            process.exit(1);
          },
        );
    });
  }
}

// All that was acknowledged is stored; what hangs is not, the end of this run among it, which another will report.
function leave(logger: Logger): void {
  logger.error(`the shutdown takes longer than ${SHUTDOWN_LIMIT_MS / 1000} s: leaving without waiting any longer`);
  process.exit(1);
}

main().catch((error: unknown) => {
  const expected = error instanceof ConfigError || error instanceof EmbeddedPostgresError || isListenError(error);
  console.error(expected ? (error as Error).message : error);
  process.exit(1);
});

function isListenError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && ['listen', 'getaddrinfo'].includes(String(error.syscall));
}
