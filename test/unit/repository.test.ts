// What newcomers meet first: workflows that run what we run, a lock file that does not change, a guide whose names exist.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROJECT, readProjectFile } from '../support/project.js';

interface Lock {
  readonly packages: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>;
}

test('the workflow runs the script that runs the test command of the README', () => {
  const workflow = readProjectFile('.github/workflows/test.yml');
  assert.deepEqual(
    readdirSync(join(PROJECT, '.github/workflows')).filter((name) => name !== 'test.yml'),
    [],
  );
  assert.match(workflow, /^ +run: sudo docker run .* node:\$\{\{ matrix\.node \}\}-bookworm bash \.ci\/run$/m);
  const script = readProjectFile('.ci/run');
  assert.match(script, /^exec npm test --silent$/m);
  assert.match(readProjectFile('README.md'), /^npm test +#/m);
});

test('the workflow takes each Node.js that is supported, from the oldest on', () => {
  const [, list] = /^ +node: \[(.*)\]$/m.exec(readProjectFile('.github/workflows/test.yml')) ?? assert.fail('no matrix');
  const versions = list!.split(', ').map(Number);
  const { engines } = JSON.parse(readProjectFile('package.json')) as { engines: { node: string } };
  assert.equal(engines.node, `>=${versions[0]}`);
  const tried = /\[(20, .*)\]\.map\(\(major\)/.exec(readProjectFile('scripts/test-runtimes.mjs'))?.[1]?.split(', ').map(Number);
  assert.ok(tried && versions.every((version) => tried.includes(version)), `${versions} of ${tried}`);
  for (const version of versions) assert.match(readProjectFile('docs/runtimes.md'), new RegExp(`\\| Node.js ${version} `));
});

test('the lock file lists the packages of every platform, so that npm install leaves it as it is', () => {
  const { packages } = JSON.parse(readProjectFile('package-lock.json')) as Lock;
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages))
      .map((name) => `${name} of ${path}`),
  );
  assert.deepEqual(missing, []);
});

test('nothing that is made from the sources is among them', {
  skip: existsSync(join(PROJECT, '.git')) ? false : 'no clone',
}, () => {
  const git = ['-c', 'safe.directory=*', 'ls-files', '--cached', '--ignored', '--exclude-standard'];
  assert.equal(execFileSync('git', git, { cwd: PROJECT, encoding: 'utf8' }), '');
});

test('a bug report asks for what there is', () => {
  const form = readProjectFile('.github/ISSUE_TEMPLATE/bug.md');
  for (const words of ['conntrack -V', 'uname -srm', 'CONNTRACK_DEBUG=netlink']) assert.ok(form.includes(words), words);
});

test('every file and every script that CONTRIBUTING.md names is there', () => {
  const text = readProjectFile('CONTRIBUTING.md');
  const { scripts } = JSON.parse(readProjectFile('package.json')) as { scripts: Readonly<Record<string, string>> };
  const names = Array.from(text.matchAll(/\bnpm (?:run )?([\w:]+)/g), ([, name]) => name!).filter((name) => name !== 'install');
  assert.ok(names.length > 10, `${names.length}`);
  assert.deepEqual(
    names.filter((name) => !(name in scripts)),
    [],
  );
  const paths = Array.from(text.matchAll(/(?<![\w./])(?:src|test|bin|scripts|docs|examples)\/[\w./-]*\w\/?/g), ([path]) => path);
  assert.ok(paths.length > 30, `${paths.length}`);
  assert.deepEqual(
    paths.filter((path) => !existsSync(join(PROJECT, path))),
    [],
  );
});
