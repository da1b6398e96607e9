import type { FastifyBaseLogger } from 'fastify';
import type { ChildLoggerOptions, Logger } from 'pino';

type Level = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/**
 * The logger of one request, with its id in every line. pino's child is made at the first line: most requests leave
 * none, and making it costs more than they spend on anything else.
 */
export class RequestLogger {
  private made: Logger | undefined;

  constructor(
    private readonly parent: Logger,
    private readonly bindings: Record<string, unknown>,
    private readonly options: ChildLoggerOptions | undefined,
  ) {}

  get level(): string {
    return this.parent.level;
  }

  readonly silent = (): void => undefined;

  child(bindings: Record<string, unknown>, options?: ChildLoggerOptions): FastifyBaseLogger {
    return this.logger.child(bindings, options);
  }

  fatal(...line: Parameters<Logger['fatal']>): void {
    this.write('fatal', line);
  }

  error(...line: Parameters<Logger['error']>): void {
    this.write('error', line);
  }

  warn(...line: Parameters<Logger['warn']>): void {
    this.write('warn', line);
  }

  info(...line: Parameters<Logger['info']>): void {
    this.write('info', line);
  }

  debug(...line: Parameters<Logger['debug']>): void {
    this.write('debug', line);
  }

  trace(...line: Parameters<Logger['trace']>): void {
    this.write('trace', line);
  }

  private write(level: Level, line: Parameters<Logger['info']>): void {
    if (this.parent.isLevelEnabled(level)) this.logger[level](...line);
  }

  private get logger(): Logger {
    return (this.made ??= this.parent.child(this.bindings, this.options));
  }
}
