import { resolve } from 'node:path';
import { ConfigError, loadConfig, variables } from './config';

const DATABASE_URL = 'postgres://deck:hunter2@db.example/deck';
const REDIS_URL = 'redis://:hunter3@cache.example';

/** What is wrong with an environment, each problem once. */
function problemsOf(env: Record<string, string>): string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('needs nothing to be set', () => {
    expect(loadConfig({})).toEqual({
      serviceName: 'eventdeck',
      hostname: expect.any(String) as string,
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      logLevel: 'info',
      healthEventIntervalMs: 60_000,
      heartbeatMs: 10_000,
      http: {
        host: '127.0.0.1',
        port: 8001,
        apiToken: undefined,
        allowedHosts: [],
        trustProxy: false,
        corsOrigins: [],
        rateLimitPerMinute: 0,
        maxConnections: 1000,
        slowRequestMs: 1000,
        shutdownDelayMs: 0,
      },
      database: {
        url: undefined,
        dataDir: resolve('.data'),
        migrateOnStart: true,
        pool: { min: 2, max: 10 },
        connectTimeoutMs: 2000,
        statementTimeoutMs: 5000,
        lockTimeoutMs: 1000,
        tls: undefined,
      },
      cache: {
        mode: 'memory',
        redisUrl: undefined,
        prefix: '',
        ttlMs: { event: 300_000, type: 60_000, stats: 30_000 },
      },
      retention: { days: {}, intervalMs: 3_600_000 },
    });
  });

  it('takes an empty variable for one that is not set, and ignores what it does not know', () => {
    const empty = Object.fromEntries(Object.keys(variables).map((name) => [name, '']));
    expect(loadConfig({ ...empty, SOMETHING_ELSE: 'x' })).toEqual(loadConfig({}));
  });

  it('names every problem at once: of single values and between them', () => {
    const problems = problemsOf({
      PORT: '80a',
      HOST: '0.0.0.0',
      LOG_LEVEL: 'loud',
      MIGRATE_ON_START: 'perhaps',
      TRUST_PROXY: 'my proxy',
      CORS_ORIGINS: 'https://deck.example/',
      DATABASE_URL: 'mysql://x',
      DATABASE_TLS_CA: '/does/not/exist',
      DATABASE_POOL_MIN: '20',
      CACHE: 'redis',
    });
    const names = problems.map((problem) => problem.split(/[ =]/)[0]);
    expect(names.sort()).toEqual(
      'CACHE CORS_ORIGINS DATABASE_POOL_MIN DATABASE_TLS_CA DATABASE_URL HOST LOG_LEVEL MIGRATE_ON_START PORT TRUST_PROXY'.split(
        ' ',
      ),
    );
    const lines = new ConfigError(problems).message.split('\n');
    expect(lines).toEqual(['The configuration has 10 problems:', ...problems.map((problem) => `  - ${problem}`)]);
  });

  it.each([
    ['PORT', ['-1', '65536', '1.5', '1e3', '0x50', ' ', '80 '], ['0', '1', '65535']],
    ['SHUTDOWN_DELAY_MS', ['-1', '15001'], ['0', '15000']],
    ['HEARTBEAT_SECONDS', ['0', '3601'], ['1', '3600']],
    ['DATABASE_POOL_MAX', ['0', '101'], ['2', '100']],
    ['RATE_LIMIT_PER_MINUTE', ['-5', 'many'], ['0', '600']],
    ['ALLOW_ANONYMOUS', ['perhaps'], ['true', 'false']],
    ['API_TOKEN', ['two words', 'tökén', 'tab\t'], ['abc', '0123-._~+/=']],
    ['SERVICE_NAME', ['x'.repeat(201)], ['x', '😀'.repeat(200)]],
    [
      'CORS_ORIGINS',
      ['deck.example', 'https://deck.example/path', 'https://DECK.example'],
      ['*', 'https://a.example, http://b:81'],
    ],
    [
      'ALLOWED_HOSTS',
      [
        ...['http://deck.example', 'deck.example:8001', 'deck.example/', 'deck example', '*.example', 'a@deck.example'],
        ...['.', '.10.0.0.1', '[::1]:80', '[::1', 'deck.example;a.example'],
      ],
      ['*', 'deck.example, .example.org', '192.0.2.1,::1,[2001:db8::1]', 'b\u00fccher.example', 'deck'],
    ],
    [
      'TRUST_PROXY',
      ['yes', '1', '127.0.0.1,example.org', '999.1.1.1', '10.0.0.0/33', '::1/129', '10.0.0.0/8/8', '10.0.0.0/'],
      ['true', '10.0.0.0/8, ::1', 'loopback', '10.0.0.0/32', '2001:db8::/128'],
    ],
    ['DATABASE_URL', ['deck', 'mysql://x', 'postgres:x', 'postgres://a b'], ['postgres://x/y', 'postgresql://x']],
    ['REDIS_URL', ['cache:6379', 'http://cache'], ['redis://cache', 'rediss://cache:1/2']],
    ['DATABASE_TLS', ['prefer'], ['disable', 'require', 'verify-full']],
    ['CACHE', ['on', 'Redis'], ['auto', 'memory', 'off']],
    ['LOG_LEVEL', ['verbose', 'INFO'], ['trace', 'silent']],
    [
      'RETENTION_DAYS',
      [
        ...['0', '36501', '-1', '1.5', '1e3', '30d', 'thirty', ' ', ',', '=', '30,60', '0x10'],
        ...['info', 'info=', 'info=0', 'info=36501', 'info=1.5', 'info=-1', 'info=1e3', 'info:30', 'info=30=30'],
        ...[
          'fatal=30',
          'Info=30',
          '=30',
          'constructor=30',
          'all=30',
          'info=30,',
          ',info=30',
          'info=30,90',
          '30,info=90',
        ],
        ...['info=30,info=30', 'info=30;error=90', 'info=30 error=90', 'info = 30'],
      ],
      ['1', '36500', 'info=1', 'info=36500', 'critical=1,info=30', 'info=30, warning=90 ,error=365,critical=3650'],
    ],
    ['RETENTION_INTERVAL_SECONDS', ['0', '86401', 'hourly'], ['1', '86400']],
  ])('knows what %s may be', (name, wrong, right) => {
    for (const value of wrong) {
      const [problem, ...others] = problemsOf({ [name]: value });
      expect([value, problem?.startsWith(`${name} must `), others]).toEqual([value, true, []]);
    }
    for (const value of right) expect([value, problemsOf({ [name]: value })]).toEqual([value, []]);
  });

  it('repeats no value that may be a secret', () => {
    const secret = 'hunter2 secret';
    const env = Object.fromEntries(Object.keys(variables).map((name) => [name, secret]));
    const problems = problemsOf({ ...env, HOST: '127.0.0.1' });
    expect(problems.length).toBeGreaterThan(20);
    expect(problems.join('\n')).not.toContain('hunter2');
  });

  describe('HOST', () => {
    const open = ['0.0.0.0', '::', '192.168.1.5', 'deck.example', 'localhost.example', '127.0.0.1.example'];

    it.each(['127.0.0.1', '127.1.2.3', 'localhost', '::1'])('%s needs no token', (HOST) => {
      expect(problemsOf({ HOST })).toEqual([]);
    });

    it('is one address for localhost', () => {
      expect(loadConfig({ HOST: 'localhost' }).http.host).toBe('127.0.0.1');
    });

    it.each(open)('%s needs a token, or the word that everybody may come in', (HOST) => {
      const [problem, ...others] = problemsOf({ HOST });
      expect(others).toEqual([]);
      expect(problem).toMatch(/API_TOKEN.*ALLOW_ANONYMOUS=true/);
      expect(problemsOf({ HOST, ALLOW_ANONYMOUS: 'false' })).toHaveLength(1);
      expect(problemsOf({ HOST, ALLOW_ANONYMOUS: 'true' })).toEqual([]);
      expect(problemsOf({ HOST, API_TOKEN: 'abc' })).toEqual([]);
    });
  });

  it.each([
    ['memory', {}],
    ['off', { DATABASE_URL }],
    ['redis', { REDIS_URL }],
    ['redis', { DATABASE_URL, REDIS_URL }],
    ['memory', { DATABASE_URL, REDIS_URL, CACHE: 'memory' }],
    ['off', { REDIS_URL, CACHE: 'off' }],
    ['redis', { REDIS_URL, CACHE: 'redis' }],
  ])('the cache is %s for %j', (mode, env) => {
    expect(loadConfig(env).cache.mode).toBe(mode);
  });

  it('migrates at the start with the embedded database, or when told to', () => {
    expect(loadConfig({}).database.migrateOnStart).toBe(true);
    expect(loadConfig({ DATABASE_URL }).database.migrateOnStart).toBe(false);
    expect(loadConfig({ DATABASE_URL, MIGRATE_ON_START: 'true' }).database.migrateOnStart).toBe(true);
    expect(loadConfig({ MIGRATE_ON_START: 'false' }).database.migrateOnStart).toBe(false);
  });

  it('keeps events as long as it is told, by severity or all alike', () => {
    const daysOf = (RETENTION_DAYS: string): unknown => loadConfig({ RETENTION_DAYS }).retention.days;
    expect(daysOf('info=30, error=365')).toEqual({ info: 30, error: 365 });
    expect(daysOf('30')).toEqual({ info: 30, warning: 30, error: 30, critical: 30 });
    expect(loadConfig({ RETENTION_INTERVAL_SECONDS: '60' }).retention.intervalMs).toBe(60_000);
    expect(problemsOf({ RETENTION_DAYS: 'info=30,info=31' })).toEqual([
      'RETENTION_DAYS must name each severity only once',
    ]);
  });

  it('reads the files of TLS', () => {
    const tlsOf = (env: Record<string, string>): unknown => loadConfig({ DATABASE_URL, ...env }).database.tls;
    expect(tlsOf({ DATABASE_TLS: 'disable', DATABASE_TLS_CA: __filename })).toBeUndefined();
    expect(tlsOf({ DATABASE_TLS: 'require' })).toEqual({ rejectUnauthorized: false });
    expect(tlsOf({ DATABASE_TLS: 'verify-full', DATABASE_TLS_CA: __filename })).toEqual({
      rejectUnauthorized: true,
      ca: expect.stringContaining('reads the files of TLS') as string,
    });
  });
});
