// What the scripts need besides Node.js: which command comes from which Debian package, and whether it is there.

import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';

/** Command → Debian package. The order is the order in which they are reported. */
const PACKAGES = {
  conntrack: 'conntrack',
  ip: 'iproute2',
  nft: 'nftables',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  taskset: 'util-linux',
  setpriv: 'util-linux',
  sysctl: 'procps',
  ping: 'iputils-ping',
  nc: 'netcat-openbsd',
  curl: 'curl',
  jq: 'jq',
  openssl: 'openssl',
  // Makes system calls fail, and tells which files are opened.
  strace: 'strace',
  // Makes a terminal.
  script: 'bsdutils',
  sudo: 'sudo',
  setcap: 'libcap2-bin',
  // The manual page and the completions are tried with these.
  mandoc: 'mandoc',
  zsh: 'zsh',
  fish: 'fish',
  // Metrics and alert rules, too.
  promtool: 'prometheus',
  prometheus: 'prometheus',
  // The servers between the machines of a fleet.
  'nats-server': 'nats-server',
  // Other kernels.
  'qemu-system-x86_64': 'qemu-system-x86',
  // Packages.
  'dpkg-deb': 'dpkg',
  debootstrap: 'debootstrap',
  lintian: 'lintian',
  buildah: 'buildah',
  'qemu-aarch64-static': 'qemu-user-static',
  // Looks at the page of `conntrack serve`.
  chromium: 'chromium',
};

// An ordinary user's PATH leaves these out on Debian.
for (const folder of ['/usr/local/sbin', '/usr/sbin', '/sbin']) {
  if (!process.env.PATH?.split(':').includes(folder)) process.env.PATH = `${process.env.PATH ?? ''}:${folder}`;
}

/** Whether a command can be started. */
export function hasCommand(name) {
  return (process.env.PATH ?? '').split(':').some((folder) => {
    try {
      accessSync(`${folder}/${name}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** An emulator is large, and only the tests of other kernels need it; so is a browser. */
export const EMULATOR = 'qemu-system-x86_64';
export const BROWSER = 'chromium';
/** Of `npm run test:packages` alone. */
export const PACKAGE_COMMANDS = ['debootstrap', 'lintian', 'buildah', 'qemu-aarch64-static'];
const SPECIAL = [EMULATOR, BROWSER, ...PACKAGE_COMMANDS];
export const TEST_COMMANDS = Object.keys(PACKAGES).filter((command) => !SPECIAL.includes(command));

/** Those of the commands that are missing, and the packages that bring them. */
export function findMissing(commands) {
  const missing = commands.filter((command) => !hasCommand(command));
  return { commands: missing, packages: [...new Set(missing.map((command) => PACKAGES[command]))] };
}

/** How to install packages, as one line for the terminal. */
export function installLine(packages) {
  const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
  return `${sudo}apt-get update && ${sudo}apt-get install -y --no-install-recommends ${packages.join(' ')}`;
}

/** Ends the process with a message when one of the commands is missing. */
export function requireCommands(commands) {
  const missing = findMissing(commands);
  if (missing.commands.length === 0) return;
  console.error(`missing: ${missing.commands.join(', ')}. On Debian and its kin:\n  ${installLine(missing.packages)}`);
  process.exit(1);
}

/** Installs packages through apt-get, as root. Throws when that fails. */
export function installPackages(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const stdio = ['ignore', 'ignore', 'inherit'];
  execFileSync('apt-get', ['-qq', 'update'], { env, stdio });
  execFileSync('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...packages], { env, stdio });
  // The tests start servers of their own: that of the package shall not run.
  if (packages.includes('nats-server') && hasCommand('systemctl'))
    spawnSync('systemctl', ['disable', '--now', 'nats-server'], { stdio: 'ignore' });
}
