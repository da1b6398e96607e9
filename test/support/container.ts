import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DockerfileParser } from 'dockerfile-ast';

/** The folder of the repository. */
export const ROOT = join(__dirname, '../..');

/** Names of variables whose values nobody may read. */
export const SECRET_NAME = /token|secret|passw|credential|private|_key$/i;

/** A file of the repository. */
export const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

export const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

export const dockerfile = DockerfileParser.parse(read('docker/Dockerfile'));

/** The image's own environment. */
export function imageEnvironment(): Record<string, string> {
  const properties = dockerfile.getENVs().flatMap((env) => env.getProperties());
  return Object.fromEntries(properties.map((property) => [property.getName(), property.getValue() ?? '']));
}
