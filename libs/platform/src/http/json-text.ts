import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { map, type Observable } from 'rxjs';
import { isNotModified } from './entity-tag';

/** An answer that is JSON text already, with its own headers; an `etag` among them answers `If-None-Match`. */
export class JsonText {
  constructor(
    readonly text: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {}
}

/** Sends a `JsonText` as it stands, or 304 without a body when the caller has it already (RFC 9110, section 15.4.5). */
export class JsonTextInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler<unknown>): Observable<unknown> {
    return next.handle().pipe(map((value) => (value instanceof JsonText ? send(context, value) : value)));
  }
}

function send(context: ExecutionContext, { text, headers }: JsonText): string | undefined {
  const http = context.switchToHttp();
  const request = http.getRequest<FastifyRequest>();
  const reply = http.getResponse<FastifyReply>();
  // Kept by nobody without asking again, and not the same to those who read no compression.
  const vary = [reply.getHeader('vary'), 'accept-encoding'].filter((name) => name !== undefined).join(', ');
  void reply.headers({ 'cache-control': 'no-cache', vary, ...headers });
  const { etag } = headers;
  if (request.method === 'GET' || request.method === 'HEAD') {
    if (etag !== undefined && isNotModified(request.headers['if-none-match'], etag)) {
      void reply.code(304);
      return undefined;
    }
  }
  void reply.type('application/json; charset=utf-8');
  return text;
}
