import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { read, ROOT } from '../../support/container';
import { requireProgram } from '../../support/debian-programs';
import { freePort, until } from '../../support/services';

/** Debian's nginx with the product's locations in front of an application, over TLS on two ports of the loopback. */
export interface Nginx {
  /** As in production. */
  url: string;
  /** What has no time limit of its own waits only a second here. */
  impatientUrl: string;
  /** The certificate that it shows, for 127.0.0.1. */
  certificate: string;
  stop(): Promise<void>;
}

/** @param apiUrl the address of the application */
export async function startNginx(apiUrl: string): Promise<Nginx> {
  requireProgram('nginx', 'nginx-light');
  requireProgram('openssl');
  const folder = mkdtempSync(join(tmpdir(), 'eventdeck-nginx-'));
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const [port, impatientPort] = [await freePort(), await freePort()];
    prepare(folder, configuration(new URL(apiUrl).host, port, impatientPort));
    const stop = await launch(folder, impatientPort);
    return {
      url: `https://127.0.0.1:${port}`,
      impatientUrl: `https://127.0.0.1:${impatientPort}`,
      certificate: readFileSync(join(folder, 'certificate.pem'), 'utf8'),
      stop: () => stop().finally(removeFolder),
    };
  } catch (error) {
    removeFolder();
    throw error;
  }
}

function prepare(folder: string, configurationText: string): void {
  mkdirSync(join(folder, 'temp'));
  createCertificate(folder);
  writeFileSync(join(folder, 'nginx.conf'), configurationText);
}

async function launch(folder: string, port: number): Promise<() => Promise<void>> {
  const args = ['-e', 'stderr', '-p', folder, '-c', 'nginx.conf'];
  const child = spawn('nginx', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = (): Promise<void> => {
    child.kill('SIGKILL');
    return closed;
  };
  try {
    await untilListening(child, port);
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

// One process, which a signal ends for sure. What nginx.conf says for its own nginx and Docker's network alone is left
// out; the rule for ids is the product's own.
function configuration(api: string, port: number, impatientPort: number): string {
  const idRule = /^ {2}map \$http_x_request_id [^]*?^ {2}\}$/m.exec(read('docker/nginx/nginx.conf'))?.[0];
  if (idRule === undefined) throw new Error('docker/nginx/nginx.conf has no rule for ids of requests');
  const server = (at: number, more = ''): string => `server {
    listen 127.0.0.1:${at} ssl http2;
    ssl_certificate certificate.pem;
    ssl_certificate_key key.pem;
    ${more}
    include ${join(ROOT, 'docker/nginx/locations.conf')};
  }`;
  return `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {}
http {
  access_log off;
  client_body_temp_path temp/body;
  proxy_temp_path temp/proxy;
  fastcgi_temp_path temp/fastcgi;
  uwsgi_temp_path temp/uwsgi;
  scgi_temp_path temp/scgi;
${idRule}
  upstream api {
    server ${api};
    keepalive 32;
  }
  ${server(port)}
  ${server(impatientPort, 'proxy_read_timeout 1s; proxy_send_timeout 1s;')}
}
`;
}

function createCertificate(folder: string): void {
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'certificate.pem')];
  const subject = ['-subj', '/CN=eventdeck', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];
  execFileSync('openssl', ['req', '-x509', '-days', '2', ...key, ...files, ...subject], { stdio: 'pipe' });
}

async function untilListening(child: ChildProcess, port: number): Promise<void> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}: ${said}`);
    return isOpen(port);
  }, 'nginx listens');
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
