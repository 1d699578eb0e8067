// The same sources give the same bytes, in another folder and at another time: of the package for npm, of the executable, and of the Debian
// package, with what they say they contain.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { runScript } from '../support/built-packages.js';
import { PROJECT } from '../support/project.js';

/** What a build reads. */
const SOURCES = ['bin', 'deploy', 'docs', 'packaging', 'scripts', 'src'];

interface Bill {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly serialNumber: string;
  readonly metadata: { readonly timestamp: string; readonly component: { readonly name: string; readonly version: string } };
  readonly components: readonly { readonly name: string; readonly version: string; readonly purl?: string }[];
}

suite('packages of the same sources', () => {
  let copy: string;
  let first: ReadonlyMap<string, string>;
  let second: ReadonlyMap<string, string>;
  let date: number;

  before(async () => {
    copy = mkdtempSync(join(tmpdir(), 'conntrack-copy-'));
    const names = readdirSync(PROJECT, { withFileTypes: true });
    for (const { name } of names.filter((entry) => entry.isFile() || SOURCES.includes(entry.name)))
      cpSync(join(PROJECT, name), join(copy, name), { recursive: true, preserveTimestamps: true });
    // The same modules at another place, without copying them.
    execFileSync('cp', ['--archive', '--link', join(PROJECT, 'node_modules'), copy]);
    for (const architecture of readdirSync(join(PROJECT, 'build')).filter((name) => name.startsWith('bun-')))
      cpSync(join(PROJECT, 'build', architecture), join(copy, 'build', architecture), { recursive: true });
    const { sourceDate } = (await import(pathToFileURL(join(PROJECT, 'scripts/source-date.mjs')).href)) as {
      sourceDate(): number;
    };
    date = sourceDate();
    // A copy has no history to take the date from.
    process.env['SOURCE_DATE_EPOCH'] = String(date);
    runScript(copy, 'build.mjs');
    first = packaged(PROJECT);
    second = packaged(copy);
  });
  after(() => {
    delete process.env['SOURCE_DATE_EPOCH'];
    rmSync(copy, { recursive: true, force: true });
  });

  /** Files of all packages by name, as SHA-256; of bills, the text. */
  function packaged(project: string): ReadonlyMap<string, string> {
    const out = join(copy, project === copy ? 'second' : 'first');
    const executable = join(out, 'conntrack');
    runScript(project, 'build-exe.mjs', '--out', executable);
    runScript(project, 'packages/deb.mjs', '--quick', '--executable', executable, '--out', out);
    runScript(project, 'packages/npm.mjs', '--out', out);
    const files = readdirSync(out).map((name): [string, Buffer] => [name, readFileSync(join(out, name))]);
    return new Map(
      files.map(([name, bytes]) => [
        name,
        name.endsWith('.cdx.json') ? bytes.toString() : createHash('sha256').update(bytes).digest('hex'),
      ]),
    );
  }

  test('are the same to the byte', () => {
    assert.deepEqual(
      [...first.keys()].map((name) => name.replace(/[\d.]+-\d+|[\d.]+\d/, 'VERSION')).sort(),
      [
        'conntrack',
        'conntrack-VERSION.tgz',
        'conntrack-VERSION.tgz.cdx.json',
        'conntrack-ts_VERSION_amd64.deb',
        'conntrack-ts_VERSION_amd64.deb.cdx.json',
        'conntrack.json',
      ].map((name) => name.replace('amd64', process.arch === 'arm64' ? 'arm64' : 'amd64')),
    );
    assert.deepEqual(second, first);
  });

  test('say what they contain', () => {
    const bills = [...first].filter(([name]) => name.endsWith('.cdx.json')).map(([, text]) => JSON.parse(text) as Bill);
    const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };
    for (const { bomFormat, specVersion, serialNumber, metadata } of bills) {
      assert.deepEqual([bomFormat, specVersion], ['CycloneDX', '1.5']);
      assert.match(serialNumber, /^urn:uuid:[\da-f]{8}-[\da-f]{4}-5[\da-f]{3}-a[\da-f]{3}-[\da-f]{12}$/);
      assert.deepEqual([metadata.component.name, metadata.component.version], ['conntrack', version]);
      assert.equal(metadata.timestamp, new Date(date * 1000).toISOString());
    }
    const [forNpm, forDebian] = bills.map(({ components }) => components.map(({ name }) => name));
    assert.ok(forNpm!.includes('koffi'));
    assert.ok(!forNpm!.includes('preact'), 'what is bundled is of the build, not of the installation');
    assert.ok(['bun', 'hono', 'preact'].every((name) => forDebian!.includes(name)));
    assert.ok(!forDebian!.includes('koffi'), 'the executable has no koffi');
  });
});
