import { send, type Answer } from './http';
import type { TestApp } from './test-app';

/** The media type of each format of events as a file. */
export const MEDIA_TYPES = { ndjson: 'application/x-ndjson', json: 'application/json', csv: 'text/csv' };
export type Format = keyof typeof MEDIA_TYPES;

/** What an import answers. */
export interface ImportBody {
  imported: number;
  rejected: number;
  errors: { index: number; line: number; status: number; detail: string; pointer?: string }[];
}

/** The file of an export, read to its end. */
export async function download(
  api: TestApp,
  query = '',
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(`${api.url}/api/events/export${query}`, { headers });
  // As bytes: `text()` would take a byte order mark away.
  return {
    status: response.status,
    headers: response.headers,
    text: Buffer.from(await response.arrayBuffer()).toString(),
  };
}

/** Imports a file, given whole. */
export function upload(
  api: TestApp,
  format: Format,
  body: string | Uint8Array<ArrayBuffer>,
): Promise<Answer<ImportBody>> {
  return send('POST', `${api.url}/api/events/import`, { body, headers: { 'content-type': MEDIA_TYPES[format] } });
}
