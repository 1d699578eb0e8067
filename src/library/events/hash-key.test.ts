import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { HOST_BYTE_ORDER, machineWords } from '../../wire/bytes.js';
import { HashKey } from './hash-key.js';

suite('HashKey', () => {
  test('is HalfSipHash-1-3', { skip: HOST_BYTE_ORDER === 'big' ? 'words are of the machine' : false }, () => {
    // Key 00 01 … 07, message 00 01 …: the values that lib/tests/siphash_kunit.c of Linux has for hsiphash().
    const key = new HashKey(0x03020100, 0x07060504);
    const words = machineWords(Uint8Array.from({ length: 32 }, (_, n) => n));
    assert.deepEqual(
      [0, 1].map((count) => key.hash(words[0]!, words, 1, count) >>> 0),
      [0x7e059ea6, 0x577999b1],
    );
  });

  test('random keys differ', () => {
    const hashes = new Set(Array.from({ length: 100 }, () => HashKey.random().hash(1, new Int32Array(4), 0, 4)));
    assert.ok(hashes.size > 95);
  });
});
