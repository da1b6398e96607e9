import { applyDecorators, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { invalid } from './app-error';
import { IDEMPOTENCY_KEY_HEADER } from './idempotency-key';

class NoIdempotencyKeyGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<FastifyRequest>();
    if (headers['idempotency-key'] === undefined) return true;
    const detail = `${IDEMPOTENCY_KEY_HEADER} is not supported here: sent again, a request is carried out again`;
    throw invalid([{ detail, parameter: IDEMPOTENCY_KEY_HEADER }]);
  }
}

/**
 * Refuses an `Idempotency-Key` on an operation that does not keep its promise (422): whoever sends one relies on it that
 * the same request is not carried out twice.
 */
export const NoIdempotencyKey = (): MethodDecorator => applyDecorators(UseGuards(NoIdempotencyKeyGuard));
