// Debian's kernels, ready to boot: downloaded as packages by apt from the mirror that this machine's apt uses, unpacked into a
// cache. Nothing is installed, and the machine's own package lists stay as they are.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { hasCommand } from '../tools.mjs';

/** Where prepared kernels are kept; delete a kernel's folder to fetch its newest build. */
export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'conntrack-kernels');

/** The Debian suite with the kernel of a series; all others are looked for in backports. */
const SUITES = { '5.10': ['bullseye'], 6.1: ['bookworm'], 6.12: ['trixie'] };
const BACKPORTS = ['trixie', 'trixie-backports'];
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** What the tests need of the kernel's modules, and what brings up the guest. */
const TEST_MODULES = [
  ...['net', 'lib', 'crypto', 'arch/x86/crypto', 'drivers/net/veth.ko', 'drivers/net/dummy.ko'],
  // A disk with a file system.
  ...['drivers/block/virtio_blk.ko', 'fs/ext4', 'fs/jbd2', 'fs/mbcache.ko'],
];
const BOOT_MODULES = [
  'fs/9p',
  'fs/netfs',
  'fs/fscache',
  'fs/overlayfs',
  'net/9p',
  'drivers/virtio',
  'drivers/char/virtio_console.ko',
];

/**
 * @param wanted a series such as `6.1`, or `newest`: the newest that Debian's backports have
 * @returns the files of a kernel, downloaded if necessary
 * @throws Error that says what is missing
 */
export function provideKernel(wanted) {
  if (wanted !== 'newest' && !/^\d+\.\d+$/.test(wanted))
    throw new Error(`kernel ${wanted}: not a series such as 6.1, nor "newest"`);
  if (!existsSync(join(CACHE, wanted, 'version'))) new Fetch(wanted).run();
  const folder = join(CACHE, wanted);
  return {
    folder,
    version: readFileSync(join(folder, 'version'), 'utf8').trim(),
    image: join(folder, 'vmlinuz'),
    initrd: join(folder, 'initrd'),
    modules: join(folder, 'modules'),
    busybox: join(folder, 'busybox'),
  };
}

/** One kernel on its way into the cache. */
class Fetch {
  #wanted;
  #suites;
  #work;

  constructor(wanted) {
    this.#wanted = wanted;
    this.#suites = SUITES[wanted] ?? BACKPORTS;
    mkdirSync(CACHE, { recursive: true });
    this.#work = mkdtempSync(join(CACHE, 'fetch-'));
  }

  run() {
    try {
      for (const command of ['apt-get', 'apt-cache', 'dpkg-deb', 'xz'])
        if (!hasCommand(command)) throw new Error(`${command} is missing: kernels are made of Debian's packages`);
      this.#readLists();
      const version = this.#newestVersion();
      const tree = this.#download(version);
      const built = this.#build(tree, version);
      rmSync(join(CACHE, this.#wanted), { recursive: true, force: true });
      renameSync(built, join(CACHE, this.#wanted));
    } finally {
      rmSync(this.#work, { recursive: true, force: true });
    }
  }

  /** apt with sources and lists of its own. */
  #apt(command, args, options = {}) {
    return execFileSync(
      command,
      [
        '-qq',
        ...[
          `Dir::Etc::SourceList=${this.#work}/sources.list`,
          'Dir::Etc::SourceParts=/dev/null',
          `Dir::State=${this.#work}/state`,
          `Dir::Cache=${this.#work}/cache`,
          'Acquire::Languages=none',
          `APT::Sandbox::User=${userInfo().username}`,
        ].flatMap((setting) => ['-o', setting]),
        ...args,
      ],
      { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'], ...options },
    );
  }

  #readLists() {
    for (const folder of ['state/lists/partial', 'cache/archives/partial', 'debs'])
      mkdirSync(join(this.#work, folder), { recursive: true });
    const mirror = mirrorOfThisMachine();
    writeFileSync(
      join(this.#work, 'sources.list'),
      this.#suites.map((suite) => `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`).join(''),
    );
    this.#apt('apt-get', ['update']);
  }

  #newestVersion() {
    const series = this.#wanted === 'newest' ? '[0-9]+\\.[0-9]+' : this.#wanted.replace('.', '\\.');
    const found = this.#apt('apt-cache', ['search', '--names-only', `^linux-image-${series}\\.[^ ]*-amd64$`])
      .split('\n')
      .map((line) => line.replace(/^linux-image-| .*/g, ''))
      .filter((name) => name !== '' && !/-(cloud|rt)-amd64$/.test(name))
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    if (found.length === 0) throw new Error(`Debian ${this.#suites.join(', ')} has no kernel ${this.#wanted}`);
    return found.at(-1);
  }

  /** @returns the folder with everything unpacked */
  #download(version) {
    const packages = [
      'busybox-static',
      ...['image', 'base', 'binary', 'modules'].map((part) => `linux-${part}-${version}`),
    ].filter((name) => this.#apt('apt-cache', ['pkgnames', name]).split('\n').includes(name));
    console.error(`downloading ${packages.join(' ')}`);
    const debs = join(this.#work, 'debs');
    this.#apt('apt-get', ['download', ...packages], { cwd: debs });
    const tree = join(this.#work, 'tree');
    for (const name of readdirSync(debs)) execFileSync('dpkg-deb', ['-x', join(debs, name), tree]);
    return tree;
  }

  #build(tree, version) {
    const built = join(this.#work, 'built');
    const root = join(this.#work, 'initrd');
    const find = (...test) => execFileSync('find', [tree, ...test], { encoding: 'utf8' }).split('\n')[0];
    const busybox = find('-path', '*/bin/busybox');
    const modules = find('-path', `*/lib/modules/${version}`);
    if (!modules || !existsSync(join(modules, 'kernel/net'))) throw new Error(`the packages of ${version} have no modules`);
    for (const folder of [built, join(root, 'bin'), join(root, 'proc'), join(root, 'dev')])
      mkdirSync(folder, { recursive: true });
    copyModules(busybox, modules, join(built, 'modules'), version, TEST_MODULES);
    copyModules(busybox, modules, root, version, BOOT_MODULES);
    for (const folder of [built, join(root, 'bin')]) copyFileSync(busybox, join(folder, 'busybox'));
    packInitrd(busybox, root, join(built, 'initrd'));
    unpackImage(find('-type', 'f', '-name', 'vmlinuz*'), join(built, 'vmlinuz'));
    writeFileSync(join(built, 'version'), `${version}\n`);
    return built;
  }
}

/** Debian's mirror as apt is configured here: the one with the most lists that is not for security updates. */
function mirrorOfThisMachine() {
  const counts = new Map();
  for (const uri of execFileSync('apt-get', ['indextargets', '--format', '$(REPO_URI)'], { encoding: 'utf8' }).split('\n'))
    if (uri !== '' && !uri.includes('security')) counts.set(uri, (counts.get(uri) ?? 0) + 1);
  const [mirror] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? [];
  if (mirror === undefined) throw new Error('apt has no Debian mirror here');
  return mirror;
}

/** Modules of one kernel, unpacked, with their index. */
function copyModules(busybox, from, to, version, wanted) {
  const target = join(to, 'lib/modules', version);
  mkdirSync(target, { recursive: true });
  for (const name of readdirSync(from))
    if (/^modules\.(order|builtin)/.test(name)) copyFileSync(join(from, name), join(target, name));
  for (const name of wanted) {
    for (const path of [name, `${name}.xz`]) {
      if (!existsSync(join(from, 'kernel', path))) continue;
      mkdirSync(dirname(join(target, 'kernel', path)), { recursive: true });
      cpSync(join(from, 'kernel', path), join(target, 'kernel', path), { recursive: true });
    }
  }
  execFileSync('find', [target, '-name', '*.ko.xz', '-exec', 'xz', '-d', '{}', '+']);
  execFileSync(busybox, ['depmod', '-b', to, version]);
}

/** A kernel packed with xz takes seconds to unpack itself when it is emulated: so it is unpacked here if possible. */
function unpackImage(from, to) {
  const bytes = readFileSync(from);
  const at = bytes.indexOf(Buffer.from('fd377a585a00', 'hex'));
  // xz complains of what follows the packed part, after it has written everything.
  const unpacked = at < 0 ? undefined : spawnSync('xz', ['-dc'], { input: bytes.subarray(at), maxBuffer: 1 << 30 }).stdout;
  if (unpacked?.subarray(1, 4).toString('latin1') === 'ELF') writeFileSync(to, unpacked);
  else copyFileSync(from, to);
}

/** A folder as an archive that the kernel unpacks at its start. */
export function packInitrd(busybox, folder, to) {
  chmodSync(busybox, 0o755);
  const out = openSync(to, 'w');
  execFileSync('sh', ['-c', 'find . | "$1" cpio -o -H newc', 'sh', busybox], { cwd: folder, stdio: ['ignore', out, 'ignore'] });
}
