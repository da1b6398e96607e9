import { Logger } from '@nestjs/common';
import type { Logger as TypeOrmLoggerInterface } from 'typeorm';

/**
 * What TypeORM has to say goes into the log of the service; its own loggers print to standard output, between lines of
 * JSON. Queries are left out, and failed ones too: whoever asked hears of them. A migration that fails is told once,
 * however often it is tried again.
 */
export class TypeOrmLogger implements TypeOrmLoggerInterface {
  private readonly logger = new Logger('TypeORM');
  private failure = '';

  readonly logQuery = (): void => undefined;
  readonly logQueryError = (): void => undefined;
  readonly logQuerySlow = (): void => undefined;

  logSchemaBuild(message: string): void {
    this.logger.debug(message);
  }

  logMigration(message: string): void {
    if (!message.includes(' failed') || message === this.failure) {
      this.logger.debug(message);
      return;
    }
    this.failure = message;
    this.logger.error(message);
  }

  log(level: 'log' | 'info' | 'warn', message: unknown): void {
    if (level === 'warn') this.logger.warn(String(message));
    else this.logger.debug(String(message));
  }
}
