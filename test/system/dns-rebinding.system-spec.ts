import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { useProcesses, type ApiProcess } from '../support/api-process';
import { query, useDatabases } from '../support/databases';
import { requireProgram } from '../support/debian-programs';
import { EVENT } from '../support/events';
import { send } from '../support/http';

const FOREIGN = 'evil.example';

/** What a page got, as its script sees it. */
interface Seen {
  status: number;
  text: string;
}

/** The requests that a page of the attacker makes, in this order. */
const ATTACK: [string, string, string?][] = [
  ['GET', '/api/events'],
  ['GET', '/api/events/stats'],
  ['GET', '/openapi.json'],
  ['POST', '/api/events', JSON.stringify({ ...EVENT, message: 'planted' })],
  ['PATCH', '/api/events/1', JSON.stringify({ message: 'forged' })],
  ['DELETE', '/api/events?severity=info'],
];

describe('a page whose name resolves to this machine', () => {
  // In this order: the browser ends before the service, and the service before its database.
  let folder: string;
  let browser: BrowserContext;

  const launch = useProcesses();
  const createDatabase = useDatabases();

  beforeAll(async () => {
    requireProgram('chromium');
    folder = await mkdtemp(join(tmpdir(), 'eventdeck-chromium-'));
    browser = await chromium.launchPersistentContext(folder, {
      executablePath: '/usr/bin/chromium',
      args: [
        ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
        ...['--disable-background-networking', '--disable-component-update'],
        // Newer Chromium guards a page of another network by itself; other browsers, and the ones of yesterday, do not.
        '--disable-features=LocalNetworkAccessChecks',
        // The attacker's DNS server, once it has changed its mind.
        `--host-resolver-rules=MAP ${FOREIGN} 127.0.0.1`,
      ],
    });
  });

  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** The service as it starts by itself, with one event, and a look at what is stored. */
  async function startService(variables: Record<string, string> = {}): Promise<{
    api: ApiProcess;
    port: string;
    stored: () => Promise<string[]>;
  }> {
    const { url } = await createDatabase();
    const api = await launch({ DATABASE_URL: url, ...variables }).listening();
    await query(url, 'TRUNCATE system_events RESTART IDENTITY');
    const { status } = await send('POST', `${api.url}/api/events`, { json: { ...EVENT, message: 'secret' } });
    expect(status).toBe(201);
    const stored = async (): Promise<string[]> =>
      (await query<{ message: string }>(url, `SELECT message FROM system_events WHERE event_type = 'deployment'`)).map(
        ({ message }) => message,
      );
    return { api, port: new URL(api.url).port, stored };
  }

  /** A page that came from `host` and `port` before that name became this machine's. */
  async function openPage(host: string, port: string): Promise<Page> {
    const page = await browser.newPage();
    const address = `http://${host}:${port}/attack`;
    await page.route(address, (route) => route.fulfill({ contentType: 'text/html', body: '<title>prizes</title>' }));
    await page.goto(address);
    expect(await page.title()).toBe('prizes');
    return page;
  }

  /** The answers to `ATTACK`, made by the script of a page of the same origin. */
  const attack = (page: Page): Promise<Seen[]> =>
    page.evaluate(async (requests) => {
      const seen: Seen[] = [];
      for (const [method, path, body] of requests) {
        const headers = { 'content-type': 'application/json' };
        const response = await fetch(path, { method, ...(body !== undefined && { body, headers }) });
        seen.push({ status: response.status, text: await response.text() });
      }
      return seen;
    }, ATTACK);

  it('reads, plants, changes and deletes nothing', async () => {
    const { port, stored } = await startService();
    const seen = await attack(await openPage(FOREIGN, port));
    expect(seen.map(({ status }) => status)).toEqual(ATTACK.map(() => 421));
    for (const { text } of seen) {
      expect(text).not.toContain('secret');
      expect(JSON.parse(text)).toMatchObject({
        title: 'Misdirected Request',
        detail: expect.stringContaining(FOREIGN) as string,
      });
    }
    expect(await stored()).toEqual(['secret']);
  });

  it('is told so in place of any page of the service', async () => {
    const { port } = await startService();
    const page = await browser.newPage();
    for (const path of ['/', '/docs', '/redoc', '/nothing/here']) {
      const response = await page.goto(`http://${FOREIGN}:${port}${path}`);
      expect([path, response?.status(), response?.headers()['content-type']]).toEqual([
        path,
        421,
        'application/problem+json; charset=utf-8',
      ]);
    }
  });

  it.each(['localhost', 'deck.localhost'])('does all of it where it is of the machine itself: %s', async (host) => {
    const { port, stored } = await startService();
    const seen = await attack(await openPage(host, port));
    expect(seen.map(({ status }) => status)).toEqual([200, 200, 200, 201, 200, 200]);
    expect(seen[0]?.text).toContain('secret');
    expect(await stored()).toEqual([]);
  });

  it('does all of it under a name of ALLOWED_HOSTS', async () => {
    const { port, stored } = await startService({ ALLOWED_HOSTS: FOREIGN });
    const seen = await attack(await openPage(FOREIGN, port));
    expect(seen.map(({ status }) => status)).toEqual([200, 200, 200, 201, 200, 200]);
    expect(await stored()).toEqual([]);
  });
});
