// The gate without a clock (scripts/bench/count.mjs): nothing is allocated per entry, and the gate fails if something is.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROJECT } from '../support/project.js';

interface Counted {
  readonly name: string;
  readonly bytes: number;
  readonly collections: number;
  readonly exceeded: readonly string[];
}

function count(...args: readonly string[]): { status: number | null; paths: readonly Counted[] } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(PROJECT, 'scripts/bench/count.mjs'), '--json', ...args], {
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(`nothing was counted: ${stderr}`);
  return { status, paths: JSON.parse(stdout) };
}

test('every way of an entry stays within its limits', () => {
  const { status, paths } = count();
  assert.deepEqual(
    paths.filter(({ exceeded }) => exceeded.length > 0).map(({ name, bytes, collections }) => ({ name, bytes, collections })),
    [],
  );
  assert.equal(paths.length, 16);
  assert.equal(status, 0);
});

for (const path of ['text', 'lines of -R', 'events, text', 'events, tracked', 'flow objects'])
  test(`one small array more for each entry is noticed: ${path}`, () => {
    const { status, paths } = count('--only', path, '--inject', path);
    assert.equal(status, 1);
    assert.ok(paths[0]!.exceeded.includes('bytes'), `${paths[0]!.bytes} bytes an entry`);
    if (path !== 'flow objects' && path !== 'lines of -R')
      assert.ok(paths[0]!.exceeded.includes('collections'), `${paths[0]!.collections} collections`);
  });
