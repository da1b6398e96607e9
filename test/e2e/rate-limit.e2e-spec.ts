import { expectProblem } from '../support/events';
import { requestRaw } from '../support/raw-http';
import { send, type Answer } from '../support/http';
import { startApp, type TestApp } from '../support/test-app';

describe('RATE_LIMIT_PER_MINUTE', () => {
  let api: TestApp;

  afterEach(() => api.close());

  const ask = (path: string, forwardedFor?: string): Promise<Answer> =>
    send('GET', api.url + path, forwardedFor === undefined ? {} : { headers: { 'x-forwarded-for': forwardedFor } });
  const statuses = async (path: string, ...addresses: (string | undefined)[]): Promise<number[]> => {
    const seen: number[] = [];
    for (const address of addresses) seen.push((await ask(path, address)).status);
    return seen;
  };

  it('is off by default', async () => {
    api = await startApp();
    const answers = await Promise.all(Array.from({ length: 300 }, () => ask('/health/live')));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect((await ask('/api/events/stats')).headers.has('x-ratelimit-limit')).toBe(false);
  });

  it('refuses the requests past it, says when to come back, and never refuses a probe', async () => {
    api = await startApp({ RATE_LIMIT_PER_MINUTE: '3' });
    expect(await statuses('/api/events', undefined, undefined)).toEqual([200, 200]);
    // What is unknown counts too.
    expect(await statuses('/nothing/here', undefined)).toEqual([404]);
    for (const path of ['/api/events', '/nothing/here', '/health/nothing', '/api/health/database', '/']) {
      const answer = await ask(path);
      expectProblem(answer, 429);
      const seconds = Number(answer.headers.get('retry-after'));
      expect(seconds).toBeGreaterThanOrEqual(1);
      expect(seconds).toBeLessThanOrEqual(60);
    }
    for (const path of ['/health', '/health/live/', '/health/ready', '/api/health?probe']) {
      expect(await statuses(path, ...Array.from({ length: 5 }, () => undefined))).toEqual([200, 200, 200, 200, 200]);
    }
    expect(await api.sql(`SELECT FROM system_events WHERE event_type = 'deployment'`)).toEqual([]);
  });

  it('counts what is no path, and preflights, whatever they are for', async () => {
    api = await startApp({ RATE_LIMIT_PER_MINUTE: '20', CORS_ORIGINS: 'https://deck.example' });
    const preflight = {
      origin: 'https://deck.example',
      'access-control-request-method': 'POST',
    };
    const broken = ['/%', '/api/events/%ff', '/health/live/%zz', '/docs/%c0%af', '/api/events?q=%zz'];
    for (let round = 0; round < 2; round++) {
      expect(await Promise.all(broken.map(async (path) => (await ask(path)).status))).toEqual(broken.map(() => 400));
      for (const path of ['/api/events', '/health/nothing', '/nothing', '/', '/docs']) {
        const { status, headers } = await send('OPTIONS', api.url + path, { headers: preflight });
        expect([path, status, headers.get('access-control-max-age')]).toEqual([path, 204, '600']);
      }
    }
    for (const path of [...broken, '/%', '/api/events']) expectProblem(await ask(path), 429);
    for (const path of ['/api/events', '/nothing', '/']) {
      const answer = await send('OPTIONS', api.url + path, { headers: preflight });
      expectProblem(answer, 429);
      // So that a page learns why.
      expect(answer.headers.get('access-control-allow-origin')).toBe('https://deck.example');
    }
    const { status } = await requestRaw(api.url, 'GET', '*');
    expect(status).toBe(429);
    expect((await requestRaw(api.url, 'GET', '/', ['Expect: wonders'])).status).toBe(429);
  });

  it('counts what is no path by the address that a trusted proxy names', async () => {
    api = await startApp({ RATE_LIMIT_PER_MINUTE: '2', TRUST_PROXY: 'loopback' });
    expect(await statuses('/%zz', '192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2')).toEqual([400, 400, 429, 400]);
  });

  it('counts each address behind a trusted proxy by itself', async () => {
    api = await startApp({ RATE_LIMIT_PER_MINUTE: '2', TRUST_PROXY: 'loopback' });
    expect(await statuses('/api/events', '192.0.2.1', '192.0.2.1', '192.0.2.1')).toEqual([200, 200, 429]);
    expect(await statuses('/api/events', '192.0.2.2')).toEqual([200]);
    // Only the last hop is the proxy's own word.
    expect(await statuses('/api/events', '198.51.100.7, 192.0.2.1')).toEqual([429]);
  });

  it('takes the address of the connection when no proxy is trusted', async () => {
    api = await startApp({ RATE_LIMIT_PER_MINUTE: '2' });
    const spoofed = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'];
    expect(await statuses('/api/events', ...spoofed)).toEqual([200, 200, 429, 429]);
  });

  it('takes the word of no proxy but those in the list', async () => {
    api = await startApp({ RATE_LIMIT_PER_MINUTE: '1', TRUST_PROXY: '10.0.0.0/8' });
    expect(await statuses('/api/events', '192.0.2.1', '192.0.2.2')).toEqual([200, 429]);
    await api.close();
    api = await startApp({ RATE_LIMIT_PER_MINUTE: '1', TRUST_PROXY: 'loopback,10.0.0.0/8' });
    expect(await statuses('/api/events', '192.0.2.1', '192.0.2.2', '192.0.2.1')).toEqual([200, 200, 429]);
  });
});
