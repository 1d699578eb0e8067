import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { largestOf } from './largest.js';

suite('the largest of many numbers', () => {
  test('are the first of a stable sort', () => {
    const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(Number.NaN), fc.double({ noNaN: true }));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 60 }), fc.nat(70), (values, most) => {
        const sorted = [...values.keys()]
          .filter((index) => !Number.isNaN(values[index]))
          .sort((a, b) => (values[a] === values[b] ? a - b : values[b]! > values[a]! ? 1 : -1));
        assert.deepEqual([...largestOf(Float64Array.from(values), most)], sorted.slice(0, most));
      }),
    );
  });
});
