import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '../../../docs');

/** Writes a Markdown document of `docs`, formatted as the project formats its files. */
export async function writeDocument(name, text) {
  const { format, resolveConfig } = await import('prettier');
  const file = join(FOLDER, name);
  writeFileSync(file, await format(text, { ...(await resolveConfig(file)), parser: 'markdown' }));
}
