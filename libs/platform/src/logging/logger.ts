import type { LoggerService } from '@nestjs/common';
import { pino, type Logger, type LoggerOptions } from 'pino';
import type { LogLevel } from '../config/config';

/** Where secrets could stand in what is logged; pino replaces them by `[redacted]`. */
const REDACTED_PATHS = ['authorization', 'cookie', 'password', 'token', 'url'].flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
]);

/** A logger of JSON lines on standard output: level as a word, RFC 3339 time, secrets redacted. */
export function createLogger(level: LogLevel, serviceName: string): Logger {
  const options: LoggerOptions = {
    level,
    base: { service: serviceName },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: describeError },
    redact: { paths: REDACTED_PATHS, censor: '[redacted]' },
  };
  // Synchronous, so that the last lines before an exit are not lost.
  return pino(options, pino.destination({ dest: 1, sync: true }));
}

// Without an error's other properties: there a driver keeps the statement and its parameters.
function describeError(error: Error & { code?: unknown }): Record<string, unknown> {
  const { type, message, stack } = pino.stdSerializers.err(error);
  return { type, message, ...(error.code !== undefined && { code: error.code }), stack };
}

/** What Nest tells of its own wiring at every start: a matter for debugging. */
const WIRING = new Set(['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication']);

/** Nest's messages through pino, Nest's `log` being info. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, ...details: unknown[]): void {
    this.write(WIRING.has(String(details.at(-1))) ? 'debug' : 'info', message, details);
  }

  warn(message: unknown, ...details: unknown[]): void {
    this.write('warn', message, details);
  }

  error(message: unknown, ...details: unknown[]): void {
    // What keeps the application from listening Nest throws too; whoever starts it tells it, once.
    this.write(details.at(-1) === 'NestApplication' ? 'debug' : 'error', message, details);
  }

  fatal(message: unknown, ...details: unknown[]): void {
    this.write('fatal', message, details);
  }

  debug(message: unknown, ...details: unknown[]): void {
    this.write('debug', message, details);
  }

  verbose(message: unknown, ...details: unknown[]): void {
    this.write('trace', message, details);
  }

  // Nest passes the context as the last argument and, for errors, the stack before it.
  private write(level: Exclude<LogLevel, 'silent'>, message: unknown, details: unknown[]): void {
    const [stack, context] = details.length > 1 ? details : [undefined, details[0]];
    const fields = {
      ...(typeof context === 'string' && { context }),
      ...(typeof stack === 'string' && { stack }),
    };
    if (message instanceof Error) this.logger[level]({ ...fields, err: message }, message.message);
    else if (typeof message === 'string') this.logger[level](fields, message);
    else this.logger[level]({ ...fields, details: message });
  }
}
