// What is shipped for Prometheus and systemd, as their own tools judge it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { PROJECT, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';

const DEPLOY = join(PROJECT, 'deploy');
/** Of 100, as `systemd-analyze security` counts. */
const MOST_EXPOSED = 20;

/** Runs a tool that must be content. @returns what it says */
function must(command: string, words: readonly string[], cwd?: string): string {
  const { status, stdout, stderr } = spawnSync(command, words, { encoding: 'utf8', cwd });
  assert.equal(status, 0, `${command} ${words.join(' ')}: ${stdout}${stderr}`);
  return stdout + stderr;
}

before(requirePrerequisites);
suite('what is shipped', { skip: SELF_TEST ? 'the reference has none of it' : false }, () => {
  test('alerts that promtool takes, and that fire when they should', () => {
    assert.match(must('promtool', ['check', 'rules', join(DEPLOY, 'prometheus/alerts.yml')]), /SUCCESS: \d+ rules found/);
    must('promtool', ['test', 'rules', 'alerts.test.yml'], join(DEPLOY, 'prometheus'));
  });

  test('is in dist/', () => {
    for (const folder of ['prometheus', 'systemd'])
      for (const file of readdirSync(join(DEPLOY, folder)).filter((name) => !name.endsWith('.test.yml')))
        assert.deepEqual(readFileSync(join(PROJECT, 'dist', folder, file)), readFileSync(join(DEPLOY, folder, file)), file);
    const dashboard = JSON.parse(readFileSync(join(PROJECT, 'dist/grafana/conntrack.json'), 'utf8'));
    assert.ok(dashboard.panels.length > 15);
  });

  const without = spawnSync('systemd-analyze', ['--version']).status !== 0;
  suite('units', { skip: without ? 'systemd-analyze is not installed' : false }, () => {
    test('of an agent, made by itself, that systemd takes', () => {
      const folder = mkdtempSync(join(tmpdir(), 'conntrack-units-'));
      try {
        const words = [
          '--nats',
          'tls://n1.example.net',
          '--seed',
          '/etc/conntrack/fw 1.seed',
          '--name',
          'fw1',
          '--history',
          '/var/lib/conntrack',
        ];
        const unit = must(UNDER_TEST, ['agent', ...words, '--print-unit']);
        assert.match(
          unit,
          /^ExecStart=\/usr\/bin\/conntrack agent --nats tls:\/\/n1.example.net --name fw1 --history \/var\/lib\/conntrack$/m,
        );
        assert.match(unit, /^LoadCredential=seed:\/etc\/conntrack\/fw 1.seed$/m);
        assert.match(unit, /^Type=notify\nWatchdogSec=30$/m);
        const service = join(folder, 'conntrack-agent.service');
        writeFileSync(service, unit.replaceAll('/usr/bin/conntrack', UNDER_TEST));
        assert.equal(must('systemd-analyze', ['verify', '--man=no', service]), '');
        must('systemd-analyze', ['security', '--offline=true', '--threshold=30', '--no-pager', service]);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    test('of a collector, made by itself, that systemd takes', () => {
      const folder = mkdtempSync(join(tmpdir(), 'conntrack-units-'));
      try {
        const words = ['--nats', 'tls://n1.example.net', '--name', 'c1', '--keep', '180d', '--seed', '/etc/conntrack/c1.seed'];
        const unit = must(UNDER_TEST, ['collector', ...words, '--print-unit']);
        assert.match(unit, /^ExecStart=\/usr\/bin\/conntrack collector --nats tls:\/\/n1.example.net --name c1 --keep 180d$/m);
        assert.match(unit, /^LoadCredential=seed:\/etc\/conntrack\/c1.seed$/m);
        assert.match(unit, /^StateDirectory=conntrack-collector$/m);
        assert.match(unit, /^CapabilityBoundingSet=$/m);
        const elsewhere = must(UNDER_TEST, ['collector', ...words, '--dir', '/srv/copies', '--print-unit']);
        assert.match(elsewhere, /^ReadWritePaths=\/srv\/copies$/m);
        const service = join(folder, 'conntrack-collector.service');
        writeFileSync(service, unit.replaceAll('/usr/bin/conntrack', UNDER_TEST));
        assert.equal(must('systemd-analyze', ['verify', '--man=no', service]), '');
        must('systemd-analyze', ['security', '--offline=true', '--threshold=25', '--no-pager', service]);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    for (const dropIn of [undefined, 'conntrack-exporter.conf', 'conntrack-netns.conf'])
      test(`that systemd takes, ${dropIn === undefined ? 'with little exposed' : `with ${dropIn}`}`, () => {
        const folder = mkdtempSync(join(tmpdir(), 'conntrack-units-'));
        try {
          for (const file of ['conntrack-serve.service', 'conntrack-serve.socket'])
            cpSync(join(DEPLOY, 'systemd', file), join(folder, file));
          const service = join(folder, 'conntrack-serve.service');
          const text = [service, ...(dropIn === undefined ? [] : [join(DEPLOY, 'systemd', dropIn)])].map((file) =>
            readFileSync(file, 'utf8'),
          );
          // The command is wherever it was installed.
          writeFileSync(service, text.join('\n').replaceAll('/usr/local/bin/conntrack', UNDER_TEST));
          assert.equal(must('systemd-analyze', ['verify', '--man=no', service, join(folder, 'conntrack-serve.socket')]), '');
          if (dropIn !== 'conntrack-netns.conf')
            must('systemd-analyze', ['security', '--offline=true', `--threshold=${MOST_EXPOSED}`, '--no-pager', service]);
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
  });
});
