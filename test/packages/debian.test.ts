// The Debian package: installed, upgraded, removed and purged, beside Debian's own conntrack and without it.

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { basename } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type BuiltPackages, buildPackages } from '../support/built-packages.js';
import { DebianRoot } from '../support/debian-root.js';
import { requirePrerequisites } from '../support/project.js';

const NAME = 'conntrack-ts';
/** Of 100, as `systemd-analyze security` counts. */
const MOST_EXPOSED = 25;
const UNITS = ['serve', 'record', 'agent', 'collector'].map((service) => `/usr/lib/systemd/system/conntrack-${service}.service`);

suite('the Debian package', () => {
  let built: BuiltPackages;
  before(() => {
    requirePrerequisites();
    built = buildPackages(2);
  });
  after(() => rmSync(built.folder, { recursive: true, force: true }));

  const install = (root: DebianRoot, revision: number) =>
    root.must('dpkg', '--install', '--force-confold', `/tmp/packages/${basename(built.packages[revision - 1]!)}`);
  /** A field of what dpkg knows of the package. */
  const field = (root: DebianRoot, name: string) =>
    new RegExp(`^${name}: (.*)$`, 'm').exec(root.run('dpkg-query', '--status', NAME).text)?.[1];
  const answers = (root: DebianRoot, command: string, version: string) =>
    assert.equal(root.must(command, '-V'), `conntrack v${version} (conntrack-tools)\n`);

  const manualKnowsTop = (root: DebianRoot) =>
    root.run('zgrep', '--quiet', 'conntrack top', '/usr/share/man/man8/conntrack.8.gz').status === 0;

  test('stands beside that of Debian, which comes back when it is removed', async () => {
    using root = await DebianRoot.start(built.folder);
    answers(root, 'conntrack', '1.4.7');
    install(root, 1);
    assert.match(field(root, 'Version')!, /-1$/);
    answers(root, 'conntrack', '1.4.9');
    answers(root, 'conntrack.distrib', '1.4.7');
    assert.equal(manualKnowsTop(root), true);
    assert.equal(root.must('dpkg', '--verify', NAME), '');
    assert.equal(root.must('dpkg', '--verify', 'conntrack'), '');

    install(root, 2);
    assert.match(field(root, 'Version')!, /-2$/);
    answers(root, 'conntrack', '1.4.9');
    answers(root, 'conntrack.distrib', '1.4.7');

    root.must('dpkg', '--remove', NAME);
    answers(root, 'conntrack', '1.4.7');
    assert.equal(root.must('dpkg', '--verify', 'conntrack'), '');
    assert.doesNotMatch(root.must('dpkg-divert', '--list'), /conntrack-ts/);
    assert.equal(root.run('conntrack.distrib', '-V').status, 127);
    assert.equal(manualKnowsTop(root), false);
  });

  test('needs none of Debian, and satisfies who depends on it', async () => {
    using root = await DebianRoot.start(built.folder);
    root.must('dpkg', '--remove', 'conntrack');
    install(root, 1);
    answers(root, 'conntrack', '1.4.9');
    assert.equal(root.run('conntrack.distrib', '-V').status, 127);
    assert.equal(field(root, 'Provides'), 'conntrack');
    root.must('sh', '-c', 'ip link set lo up && conntrack -I -p udp -s 192.0.2.1 -d 192.0.2.2 --sport 5 --dport 53 -t 60');
    assert.match(root.must('conntrack', '-L'), /src=192\.0\.2\.1/);
    assert.match(root.must('conntrack', 'top', '--once'), /192\.0\.2\.1:5/);
    root.must('dpkg', '--purge', NAME);
    assert.equal(root.run('conntrack', '-V').status, 127);
  });

  test('has units that systemd takes, a user for them, and a token that only root reads', async () => {
    using root = await DebianRoot.start(built.folder);
    install(root, 1);
    for (const unit of UNITS) {
      assert.equal(root.must('systemd-analyze', 'verify', '--man=no', unit), '');
      root.must('systemd-analyze', 'security', '--offline=true', `--threshold=${MOST_EXPOSED}`, '--no-pager', unit);
      // Nothing runs that nobody asked for.
      assert.equal(root.run('systemctl', 'is-enabled', basename(unit)).text, 'disabled\n');
    }
    root.must('systemd-analyze', 'verify', '--man=no', '/usr/lib/systemd/system/conntrack-serve.socket');
    assert.match(root.must('getent', 'passwd', 'conntrack'), /^conntrack:/);
    assert.equal(root.must('stat', '--format=%a %U', '/etc/conntrack/token'), '600 root\n');
    root.must('conntrack', 'serve', '--check', '--token-file', '/etc/conntrack/token');
  });

  test('keeps options and token when it is upgraded or removed, and forgets them when it is purged', async () => {
    using root = await DebianRoot.start(built.folder);
    install(root, 1);
    root.must('sh', '-c', "echo 'SERVE_OPTIONS=--allow-changes' > /etc/default/conntrack-serve; mkdir -p /var/lib/conntrack");
    const token = root.must('cat', '/etc/conntrack/token');
    assert.ok(token.trim().length >= 22);
    install(root, 2);
    root.must('dpkg', '--remove', NAME);
    assert.equal(field(root, 'Status'), 'deinstall ok config-files');
    install(root, 1);
    assert.equal(root.must('cat', '/etc/default/conntrack-serve'), 'SERVE_OPTIONS=--allow-changes\n');
    assert.equal(root.must('cat', '/etc/conntrack/token'), token);
    root.must('dpkg', '--purge', NAME);
    assert.equal(
      root.run('sh', '-c', 'ls -d /etc/conntrack /etc/default/conntrack-* /usr/share/conntrack-ts').text.includes('\n/'),
      false,
    );
    // Records are not ours to delete.
    root.must('test', '-d', '/var/lib/conntrack');
  });
});
