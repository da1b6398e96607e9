import { applyDecorators, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { invalid } from './app-error';
import { unknownName } from './request-pipe';

class NoQueryGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const query = context.switchToHttp().getRequest<FastifyRequest>().query as Record<string, unknown>;
    const names = Object.keys(query);
    if (names.length > 0) throw invalid(names.map((name) => unknownName(name, 'query')));
    return true;
  }
}

/** Refuses every query parameter on an operation that has none (422): a misspelt one must not pass silently. */
export const NoQuery = (): MethodDecorator => applyDecorators(UseGuards(NoQueryGuard));
