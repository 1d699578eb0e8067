import assert from 'node:assert/strict';
import { test } from 'node:test';
import { libc } from './ffi.js';
import { returnFreedMemory } from './memory.js';

test('glibc is told to return large blocks, and others are left alone', () => {
  const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header;
  assert.equal(libc().mallopt?.(-3, 1 << 18), glibcVersionRuntime !== undefined);
  returnFreedMemory();
});
