// What `npm start` runs first: it builds when a source is newer than the build, and else costs no time.
import { execSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = ['apps', 'libs', 'ormconfig.ts', 'tsconfig.json', 'nest-cli.json', 'package.json', 'package-lock.json'];
const BUILT = 'dist/apps/api/src/main.js';

const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

const filesOf = (path) =>
  statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    : [path];

const built = modified(BUILT);
if (built === 0 || SOURCES.flatMap(filesOf).some((file) => modified(file) > built)) {
  console.log('Building eventdeck; this takes some seconds.');
  execSync('npm run --silent build', { stdio: 'inherit' });
}
