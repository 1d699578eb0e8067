import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConntrackError } from '../errors.js';
import { didYouMean, nearest } from '../nearest.js';
import { quoted, UsageError } from './usage-error.js';

test('a usage error has code USAGE and exit status 2 unless told otherwise', () => {
  const error = new UsageError('x');
  assert.ok(error instanceof ConntrackError);
  assert.equal(error.code, 'USAGE');
  assert.equal(error.name, 'UsageError');
  assert.equal(error.exitStatus, 2);
  assert.equal(error.hint, undefined);
  const other = new UsageError('x', { exitStatus: 1, hint: 'y' });
  assert.equal(other.exitStatus, 1);
  assert.equal(other.hint, 'y');
});

test('quoted text stays on one line and is cut', () => {
  assert.equal(quoted('a\nb\x1b[0m'), "'a\\x0ab\\x1b[0m'");
  assert.equal(quoted('\ud800'), "'\\u{d800}'");
  assert.equal(quoted(''), "''");
  assert.ok(quoted('x'.repeat(1000)).length < 100);
});

test('the nearest name is within a few slips, case apart', () => {
  const names = ['stats', 'status', 'src', 'timeout'];
  assert.equal(nearest('stauts', names), 'status');
  assert.equal(nearest('STATUSS', names), 'status');
  assert.equal(nearest('timout', names), 'timeout');
  assert.equal(nearest('frobnicate', names), undefined);
  assert.equal(nearest('x', names), undefined);
  assert.equal(nearest('y'.repeat(500), names), undefined);
  assert.equal(didYouMean('scr', names, '--'), '; did you mean --src?');
  assert.equal(didYouMean('zzz', names), '');
});
