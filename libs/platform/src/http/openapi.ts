import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { STATUS_CODES } from 'node:http';
import { Problem, PROBLEM_MEDIA_TYPE } from './problem';

/** What every operation may answer, whatever it does. */
const ALWAYS = [401, 429, 500];

/** Documents the error answers of an operation, those that every operation has included. */
export function ApiProblems(...statuses: number[]): MethodDecorator & ClassDecorator {
  const responses = [...statuses, ...ALWAYS].sort((a, b) => a - b);
  return applyDecorators(ApiExtraModels(Problem), ...responses.map(problemResponse));
}

function problemResponse(status: number): MethodDecorator & ClassDecorator {
  const title = STATUS_CODES[status] ?? 'Error';
  return ApiResponse({
    status,
    description: title,
    ...(RETRY_LATER.has(status) && {
      headers: { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } } },
    }),
    content: {
      [PROBLEM_MEDIA_TYPE]: {
        schema: { $ref: getSchemaPath(Problem) },
        example: {
          type: 'about:blank',
          title,
          status,
          detail: title,
          instance: '/api/events',
          request_id: '0f4a7c7e-2f0e-4bd7-9a57-55a5f2b9e0ab',
        },
      },
    },
  });
}

const RETRY_LATER = new Set([429, 503]);
