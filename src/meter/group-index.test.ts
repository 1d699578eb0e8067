import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GroupIndex, REST } from './group-index.js';

const WIDTH = 3;
const key = fc.tuple(fc.integer({ min: -2, max: 2 }), fc.constantFrom(0, -1, 0x7fffffff, -0x80000000), fc.nat(9));

test('each key has a number of its own, up to the limit', () => {
  fc.assert(
    fc.property(fc.array(key, { maxLength: 200 }), fc.integer({ min: 0, max: 60 }), (keys, most) => {
      const index = new GroupIndex({ words: WIDTH }, most);
      const numbers = new Map<string, number>();
      for (const key of keys) {
        const known = numbers.get(`${key}`);
        const expected = known ?? (numbers.size < most ? numbers.size + 1 : REST);
        assert.equal(index.numberOf(Int32Array.from(key)), expected);
        if (expected !== REST) numbers.set(`${key}`, expected);
      }
      assert.equal(index.end, numbers.size + 1);
      for (const [text, number] of numbers) assert.equal(`${index.keyOf(number)}`, text);
    }),
  );
});

test('a key longer than needed is read as far as needed', () => {
  const index = new GroupIndex({ words: 1 });
  assert.equal(index.numberOf(Int32Array.of(7, 1)), 1);
  assert.equal(index.numberOf(Int32Array.of(7, 2)), 1);
});

test('it grows, and all groups keep their numbers and keys', () => {
  const index = new GroupIndex({ words: 2 });
  const COUNT = 20_000;
  const first = index.capacity;
  for (let n = 1; n <= COUNT; n++) assert.equal(index.numberOf(Int32Array.of(n, n ^ 5)), n);
  assert.ok(index.capacity > COUNT && index.capacity > first);
  for (let n = 1; n <= COUNT; n++) {
    assert.equal(index.numberOf(Int32Array.of(n, n ^ 5)), n);
    assert.deepEqual([...index.keyOf(n)], [n, n ^ 5]);
  }
});
