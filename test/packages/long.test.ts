// What takes too long for each run, or needs more than each machine has: `npm run test:packages`. Debian's critic of packages, a fresh Debian
// without anything, an image, and another processor.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type BuiltPackages, buildPackages, runScript } from '../support/built-packages.js';
import { DebianRoot } from '../support/debian-root.js';
import { PROJECT } from '../support/project.js';

const VERSION = 'conntrack v1.4.9 (conntrack-tools)\n';
/** What the executable takes from a system: an image needs no more. */
const LIBRARIES = ['libc.so.6', 'libpthread.so.0', 'libdl.so.2', 'libm.so.6', 'ld-linux-x86-64.so.2'];

function must(command: string, words: readonly string[], cwd?: string): string {
  const { status, stdout, stderr } = spawnSync(command, words, { encoding: 'utf8', cwd, maxBuffer: 2 ** 26 });
  assert.equal(status, 0, `${command} ${words.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

suite('packages, long', () => {
  let built: BuiltPackages;
  let folder: string;
  before(() => {
    built = buildPackages(1);
    folder = mkdtempSync(join(tmpdir(), 'conntrack-long-'));
  });
  after(() => {
    for (const path of [built.folder, folder]) rmSync(path, { recursive: true, force: true });
  });

  test('lintian has no errors to tell', () => {
    must('lintian', ['--allow-root', '--fail-on', 'error', built.packages[0]!]);
  });

  test('a fresh Debian takes it with one line, and takes its own conntrack later', async () => {
    const fresh = join(folder, 'debian');
    must('debootstrap', ['--variant=minbase', 'bookworm', fresh]);
    must('apt-get', ['download', 'conntrack', 'libnetfilter-conntrack3', 'libnfnetlink0', 'libmnl0'], built.folder);
    using root = await DebianRoot.start(built.folder, fresh);
    root.must('dpkg', '--install', `/tmp/packages/${basename(built.packages[0]!)}`);
    assert.equal(root.must('conntrack', '-V'), VERSION);
    root.must('sh', '-c', 'conntrack -I -p udp -s 192.0.2.1 -d 192.0.2.2 --sport 5 --dport 53 -t 60');
    assert.match(root.must('conntrack', 'top', '--once'), /192\.0\.2\.1:5/);
    const later = readdirSync(built.folder).filter((name) => /^(conntrack_|lib).*\.deb$/.test(name));
    root.must('dpkg', '--install', ...later.map((name) => `/tmp/packages/${name}`));
    assert.equal(root.must('conntrack', '-V'), VERSION);
    assert.equal(root.must('conntrack.distrib', '-V'), 'conntrack v1.4.7 (conntrack-tools)\n');
    root.must('dpkg', '--purge', 'conntrack-ts');
    assert.equal(root.must('conntrack', '-V'), 'conntrack v1.4.7 (conntrack-tools)\n');
  });

  test('an image is made of the executable, without a daemon, and runs', () => {
    const context = join(folder, 'context');
    mkdirSync(join(context, 'dist-exe'), { recursive: true });
    cpSync(built.executable, join(context, 'dist-exe/conntrack'));
    // No registry is asked: this machine's C library is the base.
    const base = join(folder, 'base');
    for (const path of ['lib', 'lib64', 'tmp']) mkdirSync(join(base, path), { recursive: true });
    for (const name of LIBRARIES) {
      const found = execFileSync('sh', ['-c', `ls -d /lib64/${name} /lib/*-linux-gnu/${name} 2>/dev/null | head -n 1`], {
        encoding: 'utf8',
      });
      cpSync(found.trim(), join(base, name.startsWith('ld-') ? 'lib64' : 'lib', name), { dereference: true });
    }
    const store = ['--root', join(folder, 'store'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
    const buildah = (...words: string[]) => must('buildah', [...store, ...words]).trim();
    const scratch = buildah('from', 'scratch');
    buildah('add', scratch, base, '/');
    buildah('commit', scratch, 'localhost/base');
    const file = join(PROJECT, 'packaging/container/Dockerfile');
    buildah('build', '--isolation', 'chroot', '--build-arg', 'BASE=localhost/base', '-f', file, '-t', 'conntrack', context);
    const container = buildah('from', 'localhost/conntrack');
    assert.equal(`${buildah('run', '--isolation', 'chroot', container, '--', '/usr/sbin/conntrack', '-V')}\n`, VERSION);
    const { OCIv1 } = JSON.parse(buildah('inspect', '--type', 'image', 'localhost/conntrack')) as {
      OCIv1: { config: { Entrypoint: string[]; Labels: Record<string, string> } };
    };
    assert.deepEqual(OCIv1.config.Entrypoint, ['/usr/sbin/conntrack']);
  });

  test('there is one for arm64, whose executable runs', () => {
    const executable = join(folder, 'conntrack-arm64');
    runScript(PROJECT, 'build-exe.mjs', '--arch', 'arm64', '--out', executable);
    const words = ['--quick', '--arch', 'arm64', '--executable', executable, '--out', folder];
    const package_ = runScript(PROJECT, 'packages/deb.mjs', ...words);
    assert.equal(must('dpkg-deb', ['--field', package_, 'Architecture']), 'arm64\n');
    const emulated = (...words: string[]) => must('qemu-aarch64-static', ['-L', '/usr/aarch64-linux-gnu', executable, ...words]);
    assert.equal(emulated('-V'), VERSION);
    assert.match(must('unshare', ['--net', 'qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu', executable, '-C']), /^0$/m);
    assert.match(emulated('top', '--help'), /^top /);
    assert.ok(readFileSync(`${package_}.cdx.json`, 'utf8').includes('"bun"'));
  });
});
