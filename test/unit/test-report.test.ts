// What `npm test` says at its end: the names of the tests that failed, from the reports of its runs (scripts/test-report.mjs).

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { PROJECT } from '../support/project.js';

interface Report {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly failures: readonly string[];
}
interface Module {
  readonly reporters: (path: string) => string[];
  readonly readReport: (path: string) => Report;
  readonly failuresInTap: (text: string) => string[];
}

const TESTS = `
import { suite, test } from 'node:test';
const fail = () => { throw new Error('not ok 7 - this is no line of a report'); };
test('right', () => {});
suite('outer', () => {
  test('right', () => {});
  suite('inner', () => {
    test('wrong', fail);
    test('right', () => {});
  });
  test('wrong, too', fail);
});
test('by steps', async (t) => {
  await t.test('a step', fail);
  await t.test('another', () => {});
});
test('expected', { todo: true }, fail);
test('not here', { skip: true }, fail);
suite('before it', () => {
  test('begins', () => {});
});
`;

suite('reports of test runs', () => {
  let folder: string;
  let script: Module;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'conntrack-report-'));
    writeFileSync(join(folder, 'some.test.mjs'), TESTS);
    writeFileSync(join(folder, 'ends.test.mjs'), 'process.exit(3);');
    script = await import(pathToFileURL(join(PROJECT, 'scripts/test-report.mjs')).href);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const run = (...args: readonly string[]) => {
    const { NODE_TEST_CONTEXT, ...env } = process.env;
    return spawnSync(process.execPath, ['--test', ...args], { cwd: folder, env, encoding: 'utf8' });
  };
  const WRONG = ['outer > inner > wrong', 'outer > wrong, too', 'by steps > a step'];

  test('name each test that failed by itself, with its file, and count as the runner does', () => {
    const path = join(folder, 'report');
    const { status, stdout } = run(...script.reporters(path), 'some.test.mjs', 'ends.test.mjs');
    assert.equal(status, 1);
    const report = script.readReport(path);
    const [ended, ...wrong] = [...report.failures].sort((a, b) => Number(b.includes('ends')) - Number(a.includes('ends')));
    assert.match(ended!, /ends\.test\.mjs/);
    assert.deepEqual(
      wrong.map((name) => name.replace(/^.*some\.test\.mjs > /, '')),
      WRONG,
    );
    assert.ok(wrong.every((name) => name.includes('some.test.mjs > ')));
    for (const [kind, count] of [
      ['pass', report.passed],
      ['fail', report.failed],
    ] as const)
      assert.equal(Number(new RegExp(`^\\S+ ${kind} (\\d+)$`, 'm').exec(stdout)?.[1]), count);
    assert.equal(report.skipped, 2);
  });

  test('of another machine are TAP, and name the same', () => {
    const { stdout } = run('--test-reporter=tap', 'some.test.mjs');
    const names = script.failuresInTap(stdout).map((name) => name.replace(/^.*some\.test\.mjs > /, ''));
    assert.deepEqual(names, WRONG);
  });

  test('that nobody wrote name nothing', () => {
    assert.deepEqual(script.readReport(join(folder, 'none')), { passed: 0, failed: 0, skipped: 0, failures: [] });
  });
});
