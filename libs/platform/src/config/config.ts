import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { bool, cleanEnv, str } from 'envalid';
import { isLoopback } from './host-name';
import { retentionDays, type RetentionDays } from './retention-days';
import { file, hosts, integer, name, origins, token, trustProxy, url } from './validators';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
const CACHE_MODES = ['auto', 'redis', 'memory', 'off'] as const;
const TLS_MODES = ['disable', 'require', 'verify-full'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];
/** Which cache the process uses once `auto` is resolved. */
export type CacheMode = 'redis' | 'memory' | 'off';

export interface DatabaseConfig {
  /** `undefined` means the embedded PostgreSQL. */
  url: string | undefined;
  dataDir: string;
  migrateOnStart: boolean;
  pool: { min: number; max: number };
  connectTimeoutMs: number;
  statementTimeoutMs: number;
  /** How long a change or a deletion waits for a lock. */
  lockTimeoutMs: number;
  /** node-postgres' `ssl` option; `undefined` leaves the choice to `sslmode` in the URL. */
  tls: { rejectUnauthorized: boolean; ca?: string; cert?: string; key?: string } | undefined;
}

export interface CacheConfig {
  mode: CacheMode;
  redisUrl: string | undefined;
  prefix: string;
  ttlMs: { event: number; type: number; stats: number };
}

export interface RetentionConfig {
  /** Empty: every event is kept. */
  days: RetentionDays;
  /** From the end of a run to the next one. */
  intervalMs: number;
}

export interface HttpConfig {
  host: string;
  port: number;
  apiToken: string | undefined;
  /** Names and addresses, as `hostName` spells them, that requests may be for; `*` is all, `.name` also those below. */
  allowedHosts: string[];
  /** Fastify's `trustProxy`: nobody, everybody, or a list of addresses and CIDR ranges. */
  trustProxy: boolean | string[];
  corsOrigins: string[];
  /** Requests a minute and address; 0 is off. */
  rateLimitPerMinute: number;
  /** Open at once. */
  maxConnections: number;
  slowRequestMs: number;
  shutdownDelayMs: number;
}

/** Everything the process reads from its environment, validated. */
export interface Config {
  serviceName: string;
  hostname: string;
  version: string;
  logLevel: LogLevel;
  healthEventIntervalMs: number;
  /** How often a process says that it lives; one that is silent three times as long has crashed. */
  heartbeatMs: number;
  http: HttpConfig;
  database: DatabaseConfig;
  cache: CacheConfig;
  retention: RetentionConfig;
}

/** Every problem of the environment in one message, a line each. */
export class ConfigError extends Error {
  constructor(readonly problems: string[]) {
    super(
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`,
    );
    this.name = 'ConfigError';
  }
}

/** Every variable eventdeck reads. A test holds `.env.example` and the README's table to these keys. */
export const variables = {
  HOST: str({ default: '127.0.0.1' }),
  PORT: integer(0, 65_535)({ default: 8001 }),
  API_TOKEN: token({ default: undefined }),
  ALLOW_ANONYMOUS: bool({ default: false }),
  ALLOWED_HOSTS: hosts({ default: [] as string[] }),
  TRUST_PROXY: trustProxy({ default: false }),
  CORS_ORIGINS: origins({ default: [] as string[] }),
  RATE_LIMIT_PER_MINUTE: integer(0, 1_000_000)({ default: 0 }),
  MAX_CONNECTIONS: integer(10, 10_000)({ default: 1000 }),
  SERVICE_NAME: name({ default: 'eventdeck' }),
  LOG_LEVEL: str({ choices: LOG_LEVELS, default: 'info' }),
  SLOW_REQUEST_MS: integer(1, 3_600_000)({ default: 1000 }),
  HEALTH_EVENT_INTERVAL_SECONDS: integer(1, 86_400)({ default: 60 }),
  HEARTBEAT_SECONDS: integer(1, 3600)({ default: 10 }),
  SHUTDOWN_DELAY_MS: integer(0, 15_000)({ default: 0 }),
  DATABASE_URL: url('postgres', 'postgresql')({ default: undefined }),
  DATABASE_POOL_MIN: integer(0, 100)({ default: 2 }),
  DATABASE_POOL_MAX: integer(1, 100)({ default: 10 }),
  DATABASE_CONNECT_TIMEOUT_MS: integer(100, 60_000)({ default: 2000 }),
  DATABASE_STATEMENT_TIMEOUT_MS: integer(100, 600_000)({ default: 5000 }),
  DATABASE_LOCK_TIMEOUT_MS: integer(10, 600_000)({ default: 1000 }),
  DATABASE_TLS: str({ choices: TLS_MODES, default: undefined }),
  DATABASE_TLS_CA: file({ default: undefined }),
  DATABASE_TLS_CERT: file({ default: undefined }),
  DATABASE_TLS_KEY: file({ default: undefined }),
  MIGRATE_ON_START: bool({ default: undefined }),
  DATA_DIR: str({ default: '.data' }),
  REDIS_URL: url('redis', 'rediss')({ default: undefined }),
  CACHE: str({ choices: CACHE_MODES, default: 'auto' }),
  CACHE_PREFIX: str({ default: '' }),
  CACHE_EVENT_TTL_SECONDS: integer(1, 86_400)({ default: 300 }),
  CACHE_TYPE_TTL_SECONDS: integer(1, 86_400)({ default: 60 }),
  CACHE_STATS_TTL_SECONDS: integer(1, 86_400)({ default: 30 }),
  RETENTION_DAYS: retentionDays({ default: undefined }),
  RETENTION_INTERVAL_SECONDS: integer(1, 86_400)({ default: 3600 }),
};

type Values = ReturnType<typeof cleanEnv<typeof variables>>;

/**
 * The configuration an environment asks for; an empty variable counts as not set.
 *
 * @throws ConfigError with every problem at once
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const values = cleanEnv(set, variables, {
    reporter: ({ errors }) => {
      for (const [name, error] of Object.entries(errors)) problems.push(`${name} ${reason(error)}`);
    },
  });
  problems.push(...contradictions(values));
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    serviceName: values.SERVICE_NAME,
    hostname: hostname(),
    version: packageVersion(),
    logLevel: values.LOG_LEVEL,
    healthEventIntervalMs: values.HEALTH_EVENT_INTERVAL_SECONDS * 1000,
    heartbeatMs: values.HEARTBEAT_SECONDS * 1000,
    http: httpConfig(values),
    database: databaseConfig(values),
    cache: cacheConfig(values),
    retention: { days: values.RETENTION_DAYS ?? {}, intervalMs: values.RETENTION_INTERVAL_SECONDS * 1000 },
  };
}

/** The process's own environment, after a `.env` file in the working directory; what is set already wins. */
export function loadProcessConfig(): Config {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return loadConfig(process.env);
}

// envalid's messages repeat the value, which may be a secret: only what is expected is told.
function reason(error: Error | undefined): string {
  const message = error?.message ?? 'is not valid';
  if (message.startsWith('must')) return message;
  const choices = /choices \[(.*)\]$/.exec(message);
  if (choices) return `must be one of ${choices[1]}`;
  if (message.startsWith('Invalid bool')) return 'must be true or false';
  return 'is not valid';
}

function contradictions(values: Values): string[] {
  const problems: string[] = [];
  // What is not valid by itself is missing here, and is told already.
  const allValid = (...names: (keyof Values)[]): boolean => names.every((name) => name in values);
  if (
    allValid('API_TOKEN', 'ALLOW_ANONYMOUS') &&
    values.API_TOKEN === undefined &&
    !values.ALLOW_ANONYMOUS &&
    !isLoopback(values.HOST)
  ) {
    problems.push(
      `HOST ${values.HOST} is open to the network and API_TOKEN is not set: set API_TOKEN, or ALLOW_ANONYMOUS=true to let everybody in`,
    );
  }
  if (allValid('DATABASE_POOL_MIN', 'DATABASE_POOL_MAX') && values.DATABASE_POOL_MIN > values.DATABASE_POOL_MAX) {
    problems.push('DATABASE_POOL_MIN must not be greater than DATABASE_POOL_MAX');
  }
  if (allValid('CACHE', 'REDIS_URL') && values.CACHE === 'redis' && values.REDIS_URL === undefined) {
    problems.push('CACHE=redis needs REDIS_URL');
  }
  return problems;
}

function httpConfig(values: Values): HttpConfig {
  return {
    // Fastify would open a second server for the other address of `localhost`, past the limits on connections.
    host: values.HOST === 'localhost' ? '127.0.0.1' : values.HOST,
    port: values.PORT,
    apiToken: values.API_TOKEN,
    allowedHosts: values.ALLOWED_HOSTS,
    trustProxy: values.TRUST_PROXY,
    corsOrigins: values.CORS_ORIGINS,
    rateLimitPerMinute: values.RATE_LIMIT_PER_MINUTE,
    maxConnections: values.MAX_CONNECTIONS,
    slowRequestMs: values.SLOW_REQUEST_MS,
    shutdownDelayMs: values.SHUTDOWN_DELAY_MS,
  };
}

function databaseConfig(values: Values): DatabaseConfig {
  const { DATABASE_TLS_CA: ca, DATABASE_TLS_CERT: cert, DATABASE_TLS_KEY: key } = values;
  return {
    url: values.DATABASE_URL,
    dataDir: resolve(values.DATA_DIR),
    migrateOnStart: values.MIGRATE_ON_START ?? values.DATABASE_URL === undefined,
    pool: { min: values.DATABASE_POOL_MIN, max: values.DATABASE_POOL_MAX },
    connectTimeoutMs: values.DATABASE_CONNECT_TIMEOUT_MS,
    statementTimeoutMs: values.DATABASE_STATEMENT_TIMEOUT_MS,
    lockTimeoutMs: values.DATABASE_LOCK_TIMEOUT_MS,
    tls:
      values.DATABASE_TLS === undefined || values.DATABASE_TLS === 'disable'
        ? undefined
        : {
            rejectUnauthorized: values.DATABASE_TLS === 'verify-full',
            ...(ca !== undefined && { ca }),
            ...(cert !== undefined && { cert }),
            ...(key !== undefined && { key }),
          },
  };
}

function cacheConfig(values: Values): CacheConfig {
  return {
    mode: values.CACHE === 'auto' ? automaticCacheMode(values) : values.CACHE,
    redisUrl: values.REDIS_URL,
    prefix: values.CACHE_PREFIX,
    ttlMs: {
      event: values.CACHE_EVENT_TTL_SECONDS * 1000,
      type: values.CACHE_TYPE_TTL_SECONDS * 1000,
      stats: values.CACHE_STATS_TTL_SECONDS * 1000,
    },
  };
}

// Several processes may share a database given by URL, and an in-process cache cannot see another's changes.
function automaticCacheMode(values: Values): CacheMode {
  if (values.REDIS_URL !== undefined) return 'redis';
  return values.DATABASE_URL === undefined ? 'memory' : 'off';
}

function packageVersion(): string {
  for (let folder = __dirname; ; folder = resolve(folder, '..')) {
    const path = resolve(folder, 'package.json');
    if (existsSync(path)) return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
    if (folder === resolve(folder, '..')) return 'unknown';
  }
}
