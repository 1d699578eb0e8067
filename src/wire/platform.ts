// Which system this is. Everything can be loaded anywhere, so that types, replays and tables in memory serve on any machine; only
// what talks to a kernel asks here first.

import { PlatformError } from '../errors.js';

/** @throws PlatformError where there is no Linux kernel to talk to */
export function requireLinux(): void {
  if (process.platform === 'linux') return;
  const system = NAMES[process.platform] ?? process.platform;
  throw new PlatformError(`connection tracking needs a Linux kernel, and this is ${system}`, {
    hint: 'run it on Linux; programs that use the library can be tested anywhere: docs/testing.md',
  });
}

/** What people call the systems that Node.js runs on. */
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
