import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Copy, Instruction } from 'dockerfile-ast';
import { ConfigError, loadConfig, variables } from '@app/platform';
import { dockerfile, imageEnvironment, read, scripts, SECRET_NAME } from '../support/container';

const froms = dockerfile.getFROMs();
const stageNames = froms.map((from) => from.getBuildStage());
const instructions = dockerfile.getInstructions();
const finalStage = instructions.slice(
  instructions.findLastIndex((instruction) => instruction.getKeyword() === 'FROM') + 1,
);

/** The instructions of the stage called `name`. */
function stage(name: string): Instruction[] {
  const start = instructions.findIndex(
    (instruction) => instruction.getKeyword() === 'FROM' && instruction.getArgumentsContent()?.endsWith(` AS ${name}`),
  );
  const rest = instructions.slice(start + 1);
  const end = rest.findIndex((instruction) => instruction.getKeyword() === 'FROM');
  return end < 0 ? rest : rest.slice(0, end);
}

/** The stage that `copy` takes from; `getFromFlag` finds it only where it is the one flag. */
function origin(copy: Copy): string | undefined {
  return (
    copy
      .getFlags()
      .find((flag) => flag.getName() === 'from')
      ?.getValue() ?? undefined
  );
}

/** The one instruction `keyword` of the final stage. */
function only(keyword: string): Instruction {
  const found = finalStage.filter((instruction) => instruction.getKeyword() === keyword);
  if (found.length !== 1 || !found[0]) throw new Error(`the final stage has ${found.length} ${keyword}`);
  return found[0];
}

/** The array of an exec form; a shell form is no JSON and throws. */
function execForm(instruction: Instruction): string[] {
  return JSON.parse(instruction.getArgumentsContent()?.replace(/^CMD\s+/, '') ?? '') as string[];
}

describe('docker/Dockerfile', () => {
  it('builds every stage on an earlier one or on a pinned LTS of Node', () => {
    expect(froms.length).toBeGreaterThan(2);
    froms.forEach((from, index) => {
      if (stageNames.slice(0, index).includes(from.getImage())) return;
      // Even majors are the LTS lines.
      expect(from.getImage()).toMatch(/^node:\d*[02468]-(bookworm|trixie)-slim$/);
    });
  });

  it('runs as another user than root', () => {
    expect(only('USER').getArgumentsContent()).toBe('node');
    expect(finalStage.findIndex((instruction) => instruction.getKeyword() === 'USER')).toBeGreaterThan(
      finalStage.findLastIndex((instruction) => instruction.getKeyword() === 'COPY'),
    );
  });

  it('starts what npm start starts, in exec form', () => {
    expect(execForm(only('CMD')).join(' ')).toBe(scripts.start);
  });

  it('takes into the final stage four things, all from earlier stages, and runs nothing there', () => {
    const copies = finalStage.filter((instruction): instruction is Copy => instruction.getKeyword() === 'COPY');
    for (const copy of copies) expect(stageNames).toContain(origin(copy));
    const sources = copies.flatMap((copy) =>
      copy
        .getArguments()
        .slice(0, -1)
        .map((argument) => argument.getValue()),
    );
    expect(sources.sort()).toEqual(['/app/LICENSE', '/app/dist', '/app/node_modules', '/app/package.json']);
    expect(finalStage.map((instruction) => instruction.getKeyword())).not.toContain('RUN');
    expect(instructions.map((instruction) => instruction.getKeyword())).not.toContain('ADD');
  });

  it('leaves root the owner of every file', () => {
    const flags = dockerfile.getCOPYs().flatMap((copy) => copy.getFlags().map((flag) => flag.getName()));
    expect(flags).not.toContain('chown');
  });

  it('installs production packages only, by the lock file, without their scripts', () => {
    const modules = dockerfile.getCOPYs().find((copy) => copy.getArgumentsContent()?.startsWith('/app/node_modules '));
    const runs = stage((modules && origin(modules)) ?? '').filter((step) => step.getKeyword() === 'RUN');
    expect(runs.map((step) => step.getArgumentsContent())).toEqual([
      'npm ci --omit=dev --omit=optional --ignore-scripts',
    ]);
    const all = instructions.filter((step) => step.getKeyword() === 'RUN').map((step) => step.getArgumentsContent());
    expect(all.filter((command) => /npm (ci|i|install|add)\b(?!.*--ignore-scripts)/.test(command ?? ''))).toEqual([]);
  });

  it('holds no secret', () => {
    const names = [
      ...Object.keys(imageEnvironment()),
      ...dockerfile.getARGs().map((arg) => arg.getProperty()?.getName()),
    ];
    expect(names).toContain('VERSION');
    expect(names.filter((name) => SECRET_NAME.test(name ?? ''))).toEqual([]);
    expect(read('docker/Dockerfile')).not.toMatch(/:\/\/[^/\s]*:[^/\s]*@/);
  });

  it('sets only what the configuration knows, and listens where it says', () => {
    expect(imageEnvironment()).toMatchObject({ NODE_ENV: 'production', HOST: '0.0.0.0', PORT: '8001' });
    expect(Object.keys(imageEnvironment()).filter((name) => name !== 'NODE_ENV' && !(name in variables))).toEqual([]);
    expect(only('EXPOSE').getArgumentsContent()).toBe(imageEnvironment().PORT);
  });

  it('needs an API_TOKEN to start', () => {
    const given = { ...imageEnvironment(), DATABASE_URL: 'postgres://eventdeck@postgres/eventdeck' };
    expect(() => loadConfig(given)).toThrow(ConfigError);
    expect(loadConfig({ ...given, API_TOKEN: 'token' }).http.apiToken).toBe('token');
  });

  describe('HEALTHCHECK', () => {
    let server: Server;
    let status = 200;
    let asked: string | undefined;

    beforeAll(async () => {
      server = createServer((request, response) => {
        asked = request.url;
        response.writeHead(status).end();
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
    });

    afterAll(() => server.close());

    async function probe(port: number): Promise<number> {
      const [program, ...args] = execForm(only('HEALTHCHECK'));
      expect(program).toBe('node');
      const child = spawn(process.execPath, args, { env: { PORT: String(port) }, stdio: 'ignore' });
      return ((await once(child, 'close')) as [number])[0];
    }

    const port = (): number => (server.address() as AddressInfo).port;

    it('is 0 when the process answers its liveness', async () => {
      status = 200;
      await expect(probe(port())).resolves.toBe(0);
      expect(asked).toBe('/health/live');
    });

    it('is 1 when it answers an error', async () => {
      status = 503;
      await expect(probe(port())).resolves.toBe(1);
    });

    it('is 1 when nothing answers', async () => {
      await expect(probe(1)).resolves.toBe(1);
    });
  });
});

describe('.dockerignore', () => {
  it('keeps secrets, data and what is built elsewhere out of the context', () => {
    const rules = read('.dockerignore').split('\n');
    const needed = ['**/.env', '**/.env.*', '**/*.pem', '**/*.key', '.data', '.git', '**/node_modules', 'dist', 'test'];
    expect(rules).toEqual(expect.arrayContaining(needed));
    expect(rules.filter((rule) => rule.startsWith('!'))).toEqual([]);
  });
});
