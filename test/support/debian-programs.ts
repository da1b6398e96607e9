import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/**
 * Makes sure that a program of Debian's is there: installs its package where the tests run as root on Debian.
 *
 * @param name what is started, and the package's name where `debianPackage` does not say otherwise
 * @throws Error with what to do where it cannot be installed
 */
export function requireProgram(name: string, debianPackage = name): void {
  if (isThere(name)) return;
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    throw new Error(`The tests need ${name}: install it (Debian: apt-get install ${debianPackage}).`);
  }
  console.log(`The tests need ${name} and found none: installing ${debianPackage} with apt-get.`);
  const options = {
    stdio: 'inherit',
    // A service that comes with the package is not started.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  } as const;
  execFileSync('apt-get', ['update', '-qq'], options);
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', debianPackage], options);
}

function isThere(name: string): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v "$0"', name], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
