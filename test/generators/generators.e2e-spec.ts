import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { startApp, type TestApp } from '../support/test-app';
import { readTable, tryGenerator, type Generator, type Outcomes } from './generated-client';

const ROOT = join(__dirname, '../..');

/** Generators and compilers at once: each takes a core and some hundred megabytes. */
const AT_ONCE = 2;

const table = JSON.parse(readFileSync(join(__dirname, 'table.json'), 'utf8')) as Generator[];

describe('the clients that are generated from the OpenAPI document', () => {
  let api: TestApp;
  const outcomes = new Map<string, Promise<Outcomes>>();

  beforeAll(async () => {
    api = await startApp();
    const limit = pLimit(AT_ONCE);
    for (const generator of await readTable()) {
      const outcome = limit(() => tryGenerator(generator, api.url));
      // Its tests tell.
      outcome.catch(() => undefined);
      outcomes.set(generator.name, outcome);
    }
  });

  afterAll(async () => {
    await Promise.allSettled(outcomes.values());
    await api.close();
  });

  describe.each(table)('$title', ({ name, operations }) => {
    it.each(Object.entries(operations))(
      '%s',
      async (operation, verdict) => {
        const { generated, around } = (await outcomes.get(name))!;
        if (verdict === 'works') {
          expect(generated[operation]).toBe('works');
        } else {
          expect(generated[operation]).toContain(verdict.seen);
          expect(around[operation]).toBe('works');
        }
      },
      300_000,
    );

    it('is asked for every operation', async () => {
      const { generated } = (await outcomes.get(name))!;
      expect(Object.keys(generated).sort()).toEqual(Object.keys(operations).sort());
    });
  });
});

describe('docs/sdk.md', () => {
  it('is what the table says (else: npm run sdk:write)', () => {
    const written = execFileSync(process.execPath, [join(__dirname, 'write-sdk.mjs')], { encoding: 'utf8' });
    expect(readFileSync(join(ROOT, 'docs/sdk.md'), 'utf8')).toBe(written);
  });
});
