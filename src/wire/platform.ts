// Which system this is. All modules can be loaded anywhere, so that types, replays and tables in memory work on any machine; only code
// that talks to a kernel asks here first.

import { PlatformError } from '../errors.js';

/** @throws PlatformError if this is not Linux */
export function requireLinux(): void {
  if (process.platform === 'linux') return;
  const system = NAMES[process.platform] ?? process.platform;
  throw new PlatformError(`connection tracking needs a Linux kernel, and this is ${system}`, {
    hint: 'run it on Linux; programs that use the library can be tested anywhere: docs/testing.md',
  });
}

/** Common names of the systems on which Node.js runs. */
const NAMES: Readonly<Record<string, string>> = {
  aix: 'AIX',
  android: 'Android',
  cygwin: 'Windows (Cygwin)',
  darwin: 'macOS',
  freebsd: 'FreeBSD',
  netbsd: 'NetBSD',
  openbsd: 'OpenBSD',
  sunos: 'SunOS',
  win32: 'Windows',
};
