import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '../..');
const CLIENTS = join(__dirname, 'clients');

/** Where the service is in the files that a reader copies. */
const DOCUMENTED_URL = 'http://127.0.0.1:8001';

/** kubb's own client has its types beside its ES module only. */
const KUBB_TYPES = {
  '@kubb/plugin-client/clients/fetch': ['./node_modules/@kubb/plugin-client/dist/clients/fetch.d.ts'],
};

/** An operation that works as it was generated, or what is wrong with it, how that looks, and how to get round it. */
export type Verdict = 'works' | { fault: string; seen: string; around: string };

/** A row of `table.json`. */
export interface Generator {
  name: string;
  title: string;
  packages: string[];
  /** The package of the program, and its arguments. */
  command: [program: string, ...args: string[]];
  files: string[];
  operations: Record<string, Verdict>;
}

/** `works`, or what went wrong, by operation: as generated, and with what gets round a fault. */
export type Outcomes = Record<'generated' | 'around', Record<string, string>>;

export async function readTable(): Promise<Generator[]> {
  return JSON.parse(await readFile(join(__dirname, 'table.json'), 'utf8')) as Generator[];
}

/** Generates a client in a folder of its own, compiles it and drives it against the service at `url`. */
export async function tryGenerator(generator: Generator, url: string): Promise<Outcomes> {
  const folder = await mkdtemp(join(tmpdir(), `eventdeck-${generator.name}-`));
  try {
    await prepare(generator, folder, url);
    const [program, ...args] = generator.command;
    await runNode(folder, await programOf(program), args);
    const compile = await compileClient(folder, generator);
    const outcomes = JSON.parse(await runNode(folder, 'out/run.js', [url, generator.name])) as Outcomes;
    return {
      generated: { compile: compile.generated, ...outcomes.generated },
      around: { compile: compile.around, ...outcomes.around },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function prepare({ name, files }: Generator, folder: string, url: string): Promise<void> {
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await mkdir(join(folder, 'generated'));
  await copyFile(join(ROOT, 'docs/openapi.json'), join(folder, 'openapi.json'));
  await copyFile(join(CLIENTS, `${name}.ts`), join(folder, 'client.ts'));
  for (const file of ['operations.ts', 'run.ts', ...files]) {
    const text = await readFile(join(CLIENTS, file), 'utf8');
    await writeFile(join(folder, file), text.replaceAll(DOCUMENTED_URL, url));
  }
}

// It emits in any case: what does not compile may still run.
async function compileClient(
  folder: string,
  { operations }: Generator,
): Promise<{ generated: string; around: string }> {
  const hasFault = operations.compile !== 'works';
  const generated = await typecheck(folder, {});
  return { generated, around: hasFault ? await typecheck(folder, { paths: KUBB_TYPES }) : generated };
}

async function typecheck(folder: string, more: object): Promise<string> {
  const compilerOptions = {
    ...{ strict: true, target: 'es2022', module: 'commonjs', moduleResolution: 'bundler', types: ['node'] },
    ...{ lib: ['es2023', 'dom', 'dom.iterable'], rootDir: '.', outDir: 'out', skipLibCheck: true },
    rewriteRelativeImportExtensions: true,
    ...more,
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['run.ts'] }));
  try {
    await runNode(folder, join(ROOT, 'node_modules/typescript/bin/tsc'), ['-p', '.']);
    return 'works';
  } catch (error) {
    return (error as Error).message;
  }
}

async function programOf(packageName: string): Promise<string> {
  const folder = join(ROOT, 'node_modules', packageName);
  const { bin } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    bin: string | Record<string, string>;
  };
  const [program] = typeof bin === 'string' ? [bin] : Object.values(bin);
  if (program === undefined) throw new Error(`${packageName} has no program`);
  return join(folder, program);
}

/** Standard output. @throws Error with all that the program wrote, when it fails */
function runNode(cwd: string, program: string, args: string[]): Promise<string> {
  // Nobody's terminal, and nothing is told to anybody: the tests need no network.
  const env = {
    PATH: join(process.execPath, '..'),
    HOME: cwd,
    CI: 'true',
    NO_COLOR: '1',
    DO_NOT_TRACK: '1',
    KUBB_DISABLE_TELEMETRY: '1',
  };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [program, ...args], { cwd, env, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) => {
      if (error) reject(new Error(`${program} ended with ${error.code}: ${out}${err}`));
      else resolve(out);
    });
  });
}
