// Paths (the project, the command under test, the reference), and the check that this machine can compare them.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder with package.json. The tests run from build/test/…, so it is searched for upwards. */
export const PROJECT = findProject(dirname(fileURLToPath(import.meta.url)));

/** The command under test. `CONNTRACK_UNDER_TEST=/usr/sbin/conntrack` compares the reference with itself. */
export const UNDER_TEST = process.env['CONNTRACK_UNDER_TEST'] ?? join(PROJECT, 'bin', 'conntrack');

/** Debian's conntrack 1.4.7: a black box. */
export const REFERENCE = process.env['CONNTRACK_REFERENCE'] ?? '/usr/sbin/conntrack';

/** True if the reference is compared with itself: then every difference is a mistake in the tests. */
export const SELF_TEST = UNDER_TEST === REFERENCE;

/** True if the standalone executable is tested: tests about Node.js do not apply to it. */
export const EXECUTABLE = UNDER_TEST.includes('/dist-exe/');

/** Options for tests about Node.js: which files it opens, and how it handles memory and capabilities. */
export const ON_NODE = { skip: EXECUTABLE ? 'about Node.js, which the executable does without' : false } as const;

/** Factor for time limits: an emulated machine is about ten times slower. */
export const SLOWNESS = Number(process.env['CONNTRACK_TEST_SLOWNESS'] ?? 1);

/** Before a command, or more options of setpriv: an ordinary user runs it. */
export const AS_NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

/** The release that known-differences.ts describes. */
export const REFERENCE_VERSION = '1.4.7';

/** The environment of every command: the caller's locale and time zone do not leak in. */
export const COMMAND_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: process.env['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/nonexistent',
  LC_ALL: 'C',
  TZ: 'Asia/Kolkata', // a half hour off UTC, so that a mistaken offset shows
};

/** @throws Error that says what is missing and how to get it: a comparison that cannot run is a failure, not a skip. */
export function requirePrerequisites(): void {
  const missing: string[] = [];
  if (process.getuid?.() !== 0) missing.push('root: the tests create network namespaces; run them as root or with sudo');
  for (const [tool, debian] of [
    ['unshare', 'util-linux'],
    ['setpriv', 'util-linux'],
    ['mount', 'mount'],
    ['nft', 'nftables'],
    ['ip', 'iproute2'],
    ['strace', 'strace'],
    ['setcap', 'libcap2-bin'],
  ] as const) {
    if (spawnSync('sh', ['-c', `command -v ${tool}`], { env: { ...COMMAND_ENVIRONMENT } }).status !== 0)
      missing.push(`the command ${tool}: apt-get install ${debian}`);
  }
  if (!existsSync(REFERENCE))
    missing.push(`the reference ${REFERENCE}: apt-get install conntrack=1:${REFERENCE_VERSION}* (Debian 12)`);
  else {
    const version = spawnSync(REFERENCE, ['-V'], { encoding: 'utf8' }).stdout;
    if (version !== `conntrack v${REFERENCE_VERSION} (conntrack-tools)\n`)
      missing.push(
        `reference version ${REFERENCE_VERSION}: ${REFERENCE} -V says ${JSON.stringify(version)}; see test/differential/known-differences.ts`,
      );
  }
  if (!existsSync(UNDER_TEST)) missing.push(`the command under test ${UNDER_TEST}: run node scripts/build.mjs`);
  if (missing.length > 0) throw new Error(`the differential tests cannot run. Missing:\n  - ${missing.join('\n  - ')}`);
}

/** Text of a file of the project. */
export function readProjectFile(path: string): string {
  return readFileSync(join(PROJECT, path), 'utf8');
}

function findProject(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json')) && existsSync(join(at, 'tsconfig.json'))) return at;
    if (at === dirname(at)) throw new Error(`no package.json above ${folder}`);
  }
}
