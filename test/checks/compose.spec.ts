import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { loadConfig, variables } from '@app/platform';
import { imageEnvironment, read, ROOT, scripts, SECRET_NAME } from '../support/container';

interface Service {
  image: string;
  build?: { context: string; dockerfile: string };
  command?: string[];
  environment?: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  ports?: string[];
  volumes?: (string | { type: string; source: string; target: string; read_only?: boolean })[];
  networks: string[];
  profiles?: string[];
  healthcheck?: { test?: string[]; disable?: boolean };
  restart: string;
  stop_grace_period: string;
  read_only?: boolean;
  tmpfs?: string[];
  cap_drop?: string[];
  security_opt?: string[];
  logging?: { driver: string; options: Record<string, string> };
}

interface ComposeFile {
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean; ipam?: { config: { subnet: string }[] } } | null>;
  volumes: Record<string, unknown>;
}

const DOCKER = join(ROOT, 'docker');
const INTERPOLATION = /\$\{(\w+)(?::([-?])([^}]*))?\}/g;

const composeText = read('docker/compose.yml');
const compose = parse(composeText, { merge: true }) as ComposeFile;
const services = Object.entries(compose.services);
const nginx = read('docker/nginx/nginx.conf');
const locations = read('docker/nginx/locations.conf');

function service(name: string): Service {
  const found = compose.services[name];
  if (!found) throw new Error(`there is no service ${name}`);
  return found;
}

/** What compose makes of a value when `given` is its environment. */
function interpolate(text: string, given: Record<string, string> = {}): string {
  return text.replace(INTERPOLATION, (_whole, name: string, operator?: string, rest?: string) => {
    const value = given[name];
    if (value !== undefined) return value;
    if (operator !== '-') throw new Error(`${name} is required`);
    return rest ?? '';
  });
}

/** The environment of a container of `name`. */
function containerEnvironment(name: string, given: Record<string, string>): Record<string, string> {
  const own = Object.entries(service(name).environment ?? {});
  return {
    ...imageEnvironment(),
    ...Object.fromEntries(own.map(([variable, value]) => [variable, interpolate(value, given)])),
  };
}

describe('docker/compose.yml', () => {
  const given = { API_TOKEN: 'token', POSTGRES_PASSWORD: 'password' };

  it('has the services, nginx only in its profile', () => {
    expect(Object.keys(compose.services).sort()).toEqual(['api', 'migrate', 'nginx', 'postgres', 'redis']);
    expect(services.filter(([, { profiles }]) => profiles).map(([name]) => name)).toEqual(['nginx']);
    expect(service('nginx').profiles).toEqual(['tls']);
  });

  it('publishes the API, on loopback unless told otherwise, and nothing else but nginx', () => {
    const published = services.filter(([, { ports }]) => ports).map(([name]) => name);
    expect(published.sort()).toEqual(['api', 'nginx']);
    const port = imageEnvironment().PORT ?? '';
    expect(service('api').ports?.map((mapping) => interpolate(mapping))).toEqual([`127.0.0.1:8001:${port}`]);
    expect(service('nginx').ports).toEqual(['80:80', '443:443']);
  });

  it('pins every image to a version, or builds it from docker/Dockerfile', () => {
    for (const [name, { image, build }] of services) {
      if (['api', 'migrate'].includes(name)) {
        expect(build).toEqual({ context: '..', dockerfile: 'docker/Dockerfile' });
        expect(existsSync(resolve(DOCKER, build?.context ?? '', build?.dockerfile ?? ''))).toBe(true);
      } else {
        expect(build).toBeUndefined();
        expect(image).toMatch(/^[a-z]+:\d+(\.\d+)*-alpine$/);
      }
    }
    expect(service('migrate').image).toBe(service('api').image);
  });

  it('requires every secret and has a default for nothing of the kind', () => {
    const used = [...composeText.matchAll(INTERPOLATION)].map(([, name = '', operator]) => ({ name, operator }));
    const secrets = used.filter(({ name }) => SECRET_NAME.test(name));
    expect(new Set(secrets.map(({ name }) => name))).toEqual(new Set(['API_TOKEN', 'POSTGRES_PASSWORD']));
    expect(secrets.filter(({ operator }) => operator !== '?')).toEqual([]);
    // Anything else has a default: `docker compose up` must not warn about what nobody needs to set.
    expect(used.filter(({ name, operator }) => !SECRET_NAME.test(name) && operator !== '-')).toEqual([]);
    for (const [, { environment = {} }] of services) {
      for (const [name, value] of Object.entries(environment)) {
        if (SECRET_NAME.test(name)) expect(value).toMatch(/^\$\{\w+:\?[^}]+\}$/);
        expect(value).not.toMatch(/:\/\/[^/\s:]*:(?!\$\{)[^/\s]*@/);
      }
    }
  });

  it('sets only what the configuration knows', () => {
    for (const name of ['api', 'migrate']) {
      const unknown = Object.keys(service(name).environment ?? {}).filter((variable) => !(variable in variables));
      expect(unknown).toEqual([]);
    }
  });

  it('gives the API a configuration that starts: token, stores, no migrations, nginx alone trusted', () => {
    const subnet = interpolate(compose.networks.proxy?.ipam?.config[0]?.subnet ?? '');
    expect(loadConfig(containerEnvironment('api', given))).toMatchObject({
      http: { host: '0.0.0.0', port: 8001, apiToken: 'token', trustProxy: [subnet] },
      database: { url: 'postgres://eventdeck:password@postgres:5432/eventdeck', migrateOnStart: false },
      cache: { mode: 'redis', redisUrl: 'redis://redis:6379' },
    });
    expect(containerEnvironment('api', given)).not.toHaveProperty('ALLOW_ANONYMOUS');
  });

  it('migrates once, on the same database, with the image, before the API starts', () => {
    const migrate = service('migrate');
    expect(loadConfig(containerEnvironment('migrate', given)).database.url).toBe(
      loadConfig(containerEnvironment('api', given)).database.url,
    );
    expect(migrate.restart).toBe('no');
    expect(migrate.command?.join(' ')).toBe(
      scripts['migration:run']?.replace(/^typeorm/, 'node node_modules/typeorm/cli.js'),
    );
    expect(existsSync(join(ROOT, migrate.command?.[1] ?? ''))).toBe(true);
    expect(migrate.healthcheck).toEqual({ disable: true });
  });

  it('starts each service after what it needs', () => {
    expect(service('migrate').depends_on).toEqual({ postgres: { condition: 'service_healthy' } });
    expect(service('api').depends_on).toEqual({
      postgres: { condition: 'service_healthy' },
      redis: { condition: 'service_healthy' },
      migrate: { condition: 'service_completed_successfully' },
    });
    expect(service('nginx').depends_on).toEqual({ api: { condition: 'service_healthy' } });
  });

  it('has a health check wherever one is waited for', () => {
    // The API's is the image's own.
    expect(service('api').healthcheck).toBeUndefined();
    expect(service('postgres').healthcheck?.test).toEqual(expect.arrayContaining(['pg_isready', '--host=127.0.0.1']));
    expect(service('redis').healthcheck?.test).toEqual(['CMD', 'redis-cli', 'ping']);
    expect(service('nginx').healthcheck?.test).toContain('http://127.0.0.1:8080/');
    expect(nginx).toContain('listen 127.0.0.1:8080;');
  });

  it.each(services)('%s comes back by itself, stops in peace, gains no rights and cannot fill the disk', (name, it) => {
    expect(it.restart).toBe(name === 'migrate' ? 'no' : 'unless-stopped');
    expect(parseInt(it.stop_grace_period)).toBeGreaterThanOrEqual(30);
    expect(it.security_opt).toContain('no-new-privileges:true');
    expect(it.logging?.driver).toBe('json-file');
    expect(Object.keys(it.logging?.options ?? {}).sort()).toEqual(['max-file', 'max-size']);
  });

  it.each(['api', 'migrate', 'nginx'])('%s can write nothing but memory', (name) => {
    expect(service(name)).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
    expect(service(name).tmpfs).toContain('/tmp');
  });

  it('declares the volumes and networks it uses, and mounts only what is in the repository', () => {
    const mounts = services.flatMap(([, { volumes = [] }]) => volumes);
    const named = mounts.filter((mount) => typeof mount === 'string').map((mount) => mount.split(':')[0]);
    expect(named).toEqual(Object.keys(compose.volumes));
    for (const mount of mounts.filter((each) => typeof each !== 'string')) {
      expect(mount).toMatchObject({ type: 'bind', read_only: true });
      expect(existsSync(resolve(DOCKER, interpolate(mount.source)))).toBe(true);
    }
    const networks = new Set(services.flatMap(([, service]) => service.networks));
    expect([...networks].sort()).toEqual(Object.keys(compose.networks).sort());
  });

  it('keeps PostgreSQL 18 where its image has the data', () => {
    expect(service('postgres').image).toMatch(/^postgres:18\b/);
    expect(service('postgres').volumes).toEqual(['postgres:/var/lib/postgresql']);
    // initdb takes its builtin collation with UTF-8 alone, and does not choose that itself under --locale=C.
    expect(service('postgres').environment?.POSTGRES_INITDB_ARGS).toContain(
      '--encoding=UTF8 --locale-provider=builtin',
    );
  });

  it('bounds the cache and keeps it off the disk', () => {
    const command = service('redis').command?.join(' ');
    expect(command).toContain('--maxmemory-policy allkeys-lru');
    expect(command).toMatch(/--maxmemory \d+mb/);
    expect(command).toContain('--appendonly no');
    expect(service('redis').volumes).toBeUndefined();
  });

  it('lets nobody at the stores but the API and its migrations, and nginx at the API one way only', () => {
    expect(compose.networks.data).toEqual({ internal: true });
    expect(compose.networks.proxy).toMatchObject({ internal: true });
    expect(service('postgres').networks).toEqual(['data']);
    expect(service('redis').networks).toEqual(['data']);
    expect(service('migrate').networks).toEqual(['data']);
    const shared = service('nginx').networks.filter((network) => service('api').networks.includes(network));
    expect(shared).toEqual(['proxy']);
  });
});

describe('docker/nginx/nginx.conf', () => {
  it('speaks TLS 1.2 and newer, with the certificates that compose mounts, and sends HTTP there', () => {
    expect(nginx).toContain('ssl_protocols TLSv1.2 TLSv1.3;');
    expect(nginx).toContain('return 308 https://$host$request_uri;');
    const folder = (service('nginx').volumes ?? [])
      .filter((mount) => typeof mount !== 'string')
      .find(({ source }) => source.includes('TLS_CERTIFICATES'))?.target;
    expect(nginx).toContain(`ssl_certificate ${folder}/fullchain.pem;`);
    expect(nginx).toContain(`ssl_certificate_key ${folder}/privkey.pem;`);
  });

  it('includes, in the server that speaks TLS, the locations that compose mounts beside it', () => {
    const files = (service('nginx').volumes ?? [])
      .filter((mount) => typeof mount !== 'string')
      .map(({ source, target }) => [source, target]);
    expect(files).toContainEqual(['./nginx/nginx.conf', '/etc/nginx/nginx.conf']);
    expect(files).toContainEqual(['./nginx/locations.conf', '/etc/nginx/locations.conf']);
    expect([...nginx.matchAll(/\binclude (\S+);/g)].map(([, file]) => file)).toEqual(['locations.conf']);
    expect(nginx.indexOf('include locations.conf;')).toBeGreaterThan(nginx.indexOf('listen 443 ssl'));
  });

  // What the locations do is tested on an nginx: test/system/nginx.system-spec.ts.
  it('passes on who calls, and believes no caller about it', () => {
    expect(nginx).toContain(`server api:${imageEnvironment().PORT} resolve;`);
    expect(locations).toContain('proxy_set_header X-Forwarded-For $remote_addr;');
    expect(locations).toContain('proxy_set_header X-Forwarded-Proto $scheme;');
    expect(locations).toContain('proxy_set_header X-Request-Id $correlation_id;');
    expect(nginx).toContain('"~^[A-Za-z0-9_.:-]{1,128}$" $http_x_request_id;');
  });

  it('takes bodies up to the limit of a batch, files of any size, and keeps none in a file of its own', () => {
    expect(locations).toMatch(/^client_max_body_size 16m;$/m);
    expect(locations).toMatch(/^location ~ \^\/api\/events\/import\/\?\$ \{\n {2}client_max_body_size 0;$/m);
    expect(locations).toContain('proxy_request_buffering off;');
    expect(locations).toContain('proxy_max_temp_file_size 0;');
  });
});
