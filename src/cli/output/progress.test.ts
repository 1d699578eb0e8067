import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { grouped, Progress } from './progress.js';

/** What is written when it is asked to show something at each of these times, in milliseconds. */
function written(isTerminal: boolean, times: readonly number[], name = 'at'): string {
  const folder = mkdtempSync(join(tmpdir(), 'conntrack-progress-'));
  const path = join(folder, 'stderr');
  const stderr = openSync(path, 'w');
  let time = 0;
  const progress = new Progress({ isTerminal: () => isTerminal, now: () => time, stderr });
  for (time of times) progress.show(() => `${name} ${time}`);
  progress.end();
  progress.end();
  closeSync(stderr);
  const text = readFileSync(path, 'utf8');
  rmSync(folder, { recursive: true });
  return text;
}

test('what takes less than a second shows nothing', () => assert.equal(written(true, [0, 500, 999]), ''));

test('ten pictures a second at most, and none is left', () =>
  assert.equal(written(true, [0, 1000, 1050, 1099, 1100, 1250]), '\r\x1b[Kat 1000\r\x1b[Kat 1100\r\x1b[Kat 1250\r\x1b[K'));

test('nothing is shown where nobody looks', () => assert.equal(written(false, [0, 1000, 5000]), ''));

test('a file of any name stays in its line', () =>
  assert.equal(written(true, [0, 1000], 'x\n\x1b[2J'), '\r\x1b[Kx\\x0a\\x1b[2J 1000\r\x1b[K'));

test('a terminal that is gone ends no command', () => {
  let time = 0;
  const progress = new Progress({ isTerminal: () => true, now: () => time, stderr: 1_000_000 });
  time = 2000;
  progress.show(() => 'unseen');
  progress.end();
});

test('numbers as people read them', () =>
  assert.deepEqual([0, 999, 1000, 1234567].map(grouped), ['0', '999', '1,000', '1,234,567']));
