import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { countEvents, createEvent, EVENT, startEmptyApp } from '../support/events';
import { freePort } from '../support/services';
import type { TestApp } from '../support/test-app';
import { download } from '../support/transfer';

const CLI = join(__dirname, '../../apps/cli');
const TOKEN = 'correct-horse-battery-staple';

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

describe('from a shell', () => {
  let api: TestApp;
  let folder: string;

  beforeAll(async () => {
    api = await startEmptyApp();
  });

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'eventdeck-cli-'));
    await api.sql('TRUNCATE system_events');
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  afterAll(() => api.close());

  const path = (name: string): string => join(folder, name);

  /** A command in the folder of the test, run to its end, with nothing in its environment but `variables`. */
  async function run(
    command: 'events-export' | 'events-import',
    args: string[],
    { input = '', variables = {} }: { input?: string; variables?: Record<string, string> } = {},
  ): Promise<Ended> {
    const child = spawn(process.execPath, [join(CLI, `${command}.mjs`), ...args], { cwd: folder, env: variables });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    const [out, err, [code]] = await Promise.all([
      readText(child.stdout),
      readText(child.stderr),
      once(child, 'close') as Promise<[number | null]>,
    ]);
    expect(err).not.toMatch(/\n\s+at /);
    return { code, out, err };
  }

  const runExport = (...args: string[]): Promise<Ended> => run('events-export', [...args, '--url', api.url]);
  const runImport = (...args: string[]): Promise<Ended> => run('events-import', [...args, '--url', api.url]);

  it.each(['events-export', 'events-import'] as const)('explains itself: %s --help', async (command) => {
    for (const flag of ['--help', '-h']) {
      const { code, out, err } = await run(command, [flag]);
      expect([code, err]).toEqual([0, '']);
      expect(out).toMatch(new RegExp(`npm run ${command.replace('-', ':')} -- `));
      expect(out).toContain('API_TOKEN');
    }
  });

  it.each(['ndjson', 'json', 'csv'])('writes and reads a file whose name tells the format: %s', async (format) => {
    await createEvent(api, { message: '=1+1\r\n"quoted"', source: '' });
    await createEvent(api, { details: { a: [1] } });
    const file = path(`events.${format}`);
    const exported = await runExport(file);
    expect(exported).toEqual({
      code: 0,
      out: '',
      err: expect.stringMatching(/^2 events, .* in .*events\.\w+\n$/) as string,
    });
    expect(readFileSync(file, 'utf8')).toBe((await download(api, `?format=${format}`)).text);
    expect(existsSync(`${file}.part`)).toBe(false);
    const messages = await api.sql('SELECT message, source, details FROM system_events ORDER BY id');
    await api.sql('TRUNCATE system_events');
    expect(await runImport(file)).toEqual({ code: 0, out: '2 events imported, 0 rejected.\n', err: '' });
    expect(await api.sql('SELECT message, source, details FROM system_events ORDER BY id')).toEqual(messages);
  });

  it('writes to standard output and reads standard input', async () => {
    await createEvent(api);
    const whole = (await download(api)).text;
    expect(await runExport()).toMatchObject({ code: 0, out: whole });
    expect(await runExport('-')).toMatchObject({ code: 0, out: whole });
    expect((await runExport('--format', 'csv')).out).toBe((await download(api, '?format=csv')).text);
    const args = ['-', '--format', 'ndjson', '--url', api.url];
    expect(await run('events-import', args, { input: whole })).toMatchObject({ code: 0, err: '' });
    expect(await countEvents(api)).toBe(2);
  });

  it('passes every filter on', async () => {
    await createEvent(api, { source: 'a', severity: 'error', details: { http: { status: 500 } }, message: 'one two' });
    await createEvent(api, {
      source: 'b',
      event_type: 'restart',
      timestamp: '2026-01-31T00:00:00Z',
      details: { 'service.name': 'web' },
    });
    await createEvent(api, { source: 'c', severity: 'warning', timestamp: '2026-02-01T00:00:00Z' });
    for (const [args, sources] of [
      [['--since', '1h'], 'a'],
      [['--until=2026-01-31T01:00:00+01:00'], ''],
      [['--until=2026-01-31T01:00:01+01:00'], 'b'],
      [['--event_type', 'restart'], 'b'],
      [['--severity', 'error', '--severity', 'warning'], 'ca'],
      [['--min_severity', 'error'], 'a'],
      [['--source', 'a', '--source', 'b'], 'ba'],
      [['--q', 'two one'], 'a'],
      [['--details.http.status', '500'], 'a'],
      [['--details.http.status=500', '--sort=-timestamp'], 'a'],
      [['--details[http.status]', '500'], 'a'],
      [['--details."service.name"', 'web'], 'b'],
      [['--detail', 'http.status=500', '--detail', 'http.status=200'], 'a'],
      [['--detail="service.name"=web'], 'b'],
      [['--sort=-timestamp'], 'acb'],
    ] as [string[], string][]) {
      const { code, out } = await runExport(...args);
      const found = [...out.matchAll(/"source":"(.)"/g)].map(([, source]) => source).join('');
      expect([args, code, found]).toEqual([args, 0, sources]);
    }
  });

  it.each<[Parameters<typeof run>[0], string[], string]>([
    ['events-export', ['--colour', 'red'], '--colour'],
    ['events-export', ['--since'], '--since'],
    ['events-export', ['a.csv', 'b.csv'], 'b.csv'],
    ['events-export', ['events.xml'], '--format'],
    ['events-export', ['--format', 'xml'], 'xml'],
    ['events-export', ['--url', 'nonsense'], '--url'],
    ['events-export', ['--url', 'ftp://example.org'], '--url'],
    ['events-import', [], '--help'],
    ['events-import', ['-'], '--format'],
    ['events-import', ['events'], '--format'],
    ['events-import', ['events.csv', '--since', '1h'], '--since'],
  ])('ends with 2 for what it does not understand: %s %j', async (command, args, named) => {
    const { code, out, err } = await run(command, args);
    expect([code, out, err]).toEqual([2, '', expect.stringContaining(named)]);
  });

  it('tells what the service refuses, and leaves no file', async () => {
    const { code, err } = await runExport(path('events.csv'), '--severity', 'loud', '--since', 'never');
    expect(code).toBe(1);
    expect(err).toMatch(/^422 Unprocessable Entity: .*(\n {2}.*)?(severity|since) must be/);
    expect(existsSync(path('events.csv')) || existsSync(path('events.csv.part'))).toBe(false);
  });

  it('tells which events were rejected', async () => {
    const bad = JSON.stringify({ ...EVENT, severity: 'loud' });
    writeFileSync(path('events.jsonl'), `${JSON.stringify(EVENT)}\n${`${bad}\n`.repeat(12)}`);
    const { code, out, err } = await runImport(path('events.jsonl'));
    expect([code, out]).toEqual([1, '1 events imported, 12 rejected.\n']);
    const lines = err.trimEnd().split('\n');
    expect(lines[0]).toBe('  line 2: severity must be one of info, warning, error, critical (422)');
    expect([lines.length, lines.at(-1)]).toEqual([11, '  and 2 more']);
  });

  it('tells where a file is broken, and how much was stored', async () => {
    writeFileSync(path('events.json'), `[${JSON.stringify(EVENT)},\n`);
    const { code, err } = await runImport(path('events.json'));
    expect([code, err]).toEqual([
      1,
      '400 Bad Request: The file is broken: the array has no end in line 2. 1 events were imported and 0 rejected before.\n',
    ]);
  });

  it('tells that it is the wrong file, and does not send all of it', async () => {
    writeFileSync(path('events.ndjson'), 'x\n'.repeat(16 * 1024 ** 2));
    const { code, out, err } = await runImport(path('events.ndjson'));
    expect([code, out]).toEqual([1, '']);
    const [first, ...others] = err.trimEnd().split('\n');
    expect(first).toMatch(/^422 Unprocessable Entity: None of the first 10000 events can be stored, .*Content-Type/);
    expect(others).toHaveLength(19);
    expect(others[0]).toBe('  line 2: The event is not valid JSON');
  });

  it('ends with 1 when there is nothing to read or nobody to ask', async () => {
    expect(await runImport(path('nothing.csv'))).toMatchObject({
      code: 1,
      err: expect.stringContaining('nothing.csv') as string,
    });
    expect(await runImport(folder, '--format', 'csv')).toMatchObject({ code: 1, err: `${folder} is a folder.\n` });
    writeFileSync(path('events.ndjson'), '');
    const url = `http://127.0.0.1:${await freePort()}`;
    for (const command of ['events-export', 'events-import'] as const) {
      const { code, err } = await run(command, [path('events.ndjson'), '--url', url]);
      expect([code, err]).toEqual([1, expect.stringMatching(/does not answer: .*ECONNREFUSED/)]);
    }
    expect(readFileSync(path('events.ndjson'), 'utf8')).toBe('');
  });

  it('sends the token of the environment or of .env', async () => {
    const guarded = await startEmptyApp({ API_TOKEN: TOKEN });
    try {
      const args = ['--url', `${guarded.url}/`];
      expect(await run('events-export', args)).toMatchObject({
        code: 1,
        err: expect.stringMatching(/^401 /) as string,
      });
      const large = `${JSON.stringify(EVENT)}\n`.repeat(200_000);
      writeFileSync(path('large.ndjson'), large);
      const refused = await run('events-import', [path('large.ndjson'), ...args]);
      expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/^401 /) as string });
      expect(await run('events-export', args, { variables: { API_TOKEN: TOKEN } })).toMatchObject({ code: 0 });
      writeFileSync(path('.env'), `API_TOKEN=${TOKEN}\n`);
      expect(await run('events-export', args)).toMatchObject({ code: 0 });
      expect(await run('events-export', args, { variables: { API_TOKEN: 'another' } })).toMatchObject({ code: 1 });
      const input = JSON.stringify(EVENT);
      expect(await run('events-import', ['-', '--format', 'ndjson', ...args], { input })).toMatchObject({ code: 0 });
    } finally {
      await guarded.close();
    }
  });

  describe('over a connection that breaks', () => {
    let server: Server;

    afterEach(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });

    async function serve(listener: RequestListener): Promise<string> {
      server = createServer(listener);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    }

    it('a file that is not whole does not get its name', async () => {
      const url = await serve((_request, response) => {
        response.write('{"id":1}\n', () => response.destroy());
      });
      writeFileSync(path('events.ndjson'), 'the one before\n');
      const { code, err } = await run('events-export', [path('events.ndjson'), '--url', url]);
      expect([code, err]).toEqual([1, expect.stringContaining('events.ndjson.part is not whole')]);
      expect(readFileSync(path('events.ndjson'), 'utf8')).toBe('the one before\n');
      expect(await run('events-export', ['--url', url])).toMatchObject({ code: 1 });
    });

    it('an import ends with 1', async () => {
      const url = await serve((request) => void request.once('data', () => request.destroy()));
      writeFileSync(path('events.ndjson'), `${JSON.stringify(EVENT)}\n`);
      const { code, err } = await run('events-import', [path('events.ndjson'), '--url', url]);
      expect([code, err]).toEqual([1, expect.stringMatching(/broke off|does not answer/)]);
    });
  });

  it('exports nothing where nothing is', async () => {
    expect(await runExport(path('events.csv'))).toMatchObject({ code: 0 });
    expect(readFileSync(path('events.csv'), 'utf8').split('\r\n')).toHaveLength(2);
  });
});
