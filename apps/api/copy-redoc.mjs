// Copies ReDoc into dist, the second step of the build: the production image has no dev dependencies.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const BUNDLE = 'redoc.standalone.js';

/** An image below "API docs by Redocly", on a host that browsers here need not reach; the words and the link stay. */
const REMOTE_LOGO = 'https://cdn.redoc.ly/redoc/logo-mini.svg';

const source = dirname(createRequire(import.meta.url).resolve('redoc'));
const target = join(import.meta.dirname, '../../dist/apps/api/src/redoc');

const bundle = readFileSync(join(source, BUNDLE), 'utf8');
if (bundle.split(REMOTE_LOGO).length !== 2) throw new Error(`${BUNDLE} is expected to name ${REMOTE_LOGO} once`);
mkdirSync(target, { recursive: true });
writeFileSync(join(target, BUNDLE), bundle.replace(REMOTE_LOGO, 'data:,'));
// Of ReDoc itself, and of what its bundle holds.
cpSync(join(source, '../LICENSE'), join(target, 'LICENSE'));
cpSync(join(source, `${BUNDLE}.LICENSE.txt`), join(target, `${BUNDLE}.LICENSE.txt`));
