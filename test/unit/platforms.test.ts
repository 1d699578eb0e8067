// The package on systems that are not Linux: a process that takes itself to be on one of them, where koffi cannot be found and a
// look at /proc is an error.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const SOURCES = new URL('../../src/', import.meta.url).href;

/** What a program prints there. `all` in it has what the entries of the package export. */
function elsewhere(platform: string, program: string): unknown {
  const source = `
    const fs = require('node:fs');
    const { Module, syncBuiltinESMExports } = require('node:module');
    Object.defineProperty(process, 'platform', { value: '${platform}' });
    process.dlopen = (_, path) => { throw new Error('opened: ' + path); };
    const find = Module._resolveFilename;
    Module._resolveFilename = (name, ...rest) => {
      if (name.includes('koffi')) throw new Error('looked for: ' + name);
      return find(name, ...rest);
    };
    for (const name of ['openSync', 'readFileSync', 'readdirSync', 'statSync', 'existsSync', 'readlinkSync']) {
      const method = fs[name];
      fs[name] = (path, ...rest) => {
        if (String(path).startsWith('/proc')) throw new Error(name + ': ' + path);
        return method(path, ...rest);
      };
    }
    syncBuiltinESMExports();
    (async () => {
      const all = {};
      for (const entry of ['index', 'meter/index', 'web/index', 'wire/index', 'testing/index']) Object.assign(all, await import('${SOURCES}' + entry + '.js'));
      console.log(JSON.stringify(await (async () => { ${program} })()));
    })();`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', source], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

const SYSTEMS = [
  ['darwin', 'macOS'],
  ['win32', 'Windows'],
  ['freebsd', 'FreeBSD'],
  ['plan9', 'plan9'],
] as const;

for (const [platform, name] of SYSTEMS)
  test(`on ${name} the package loads, and what needs a kernel says what it needs`, () => {
    const refusals = elsewhere(
      platform,
      `const refusal = async (work) => {
        try { await work(); return 'nothing'; } catch ({ name, code, message }) { return { name, code, message }; }
      };
      return [
        await refusal(() => all.Conntrack.open()),
        await refusal(() => all.Conntrack.open({ netns: 'blue' })),
        await refusal(() => all.listNamespaces()),
        await refusal(() => all.NetlinkSocket.open()),
      ];`,
    );
    const message = `connection tracking needs a Linux kernel, and this is ${name}`;
    assert.deepEqual(refusals, Array(4).fill({ name: 'PlatformError', code: 'PLATFORM', message }));
  });

test('on Linux the package loads without koffi and without a look at /proc', () => {
  assert.equal(elsewhere('linux', 'return typeof all.Conntrack.open + typeof all.Replay.fromText;'), 'functionfunction');
});

test('the watch of this test works: native code and /proc are noticed', () => {
  const errors = elsewhere(
    'linux',
    `const errors = [];
    for (const work of [() => all.NetworkNamespace.open(1), () => all.NetlinkSocket.open()])
      try { work(); } catch (error) { errors.push(String(error.cause ?? error)); }
    return errors;`,
  );
  assert.deepEqual(errors, ['Error: openSync: /proc/1/ns/net', 'Error: looked for: koffi']);
});

test('the package may be installed anywhere', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  const lock = JSON.parse(readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8'));
  for (const { os, cpu } of [manifest, lock.packages['']]) assert.deepEqual({ os, cpu }, { os: undefined, cpu: undefined });
  // Koffi brings native code for these, so that installing it compiles nothing there.
  const parts = Object.keys(lock.packages['node_modules/koffi'].optionalDependencies);
  for (const system of ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64', 'win32-arm64'])
    assert.ok(parts.includes(`@koromix/koffi-${system}`), system);
});
