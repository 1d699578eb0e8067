import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { descending, floatWord, sortByWords } from './radix-sort.js';

const word = fc.oneof(
  fc.constantFrom(0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff),
  fc.nat(3),
  fc.nat(),
);

/** Rows of so many words. */
const rows = fc
  .integer({ min: 1, max: 5 })
  .chain((width) => fc.array(fc.array(word, { minLength: width, maxLength: width }), { maxLength: 60 }));

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [n, value] of a.entries()) if (value !== b[n]) return value - b[n]!;
  return 0;
}

const columnsOf = (table: readonly (readonly number[])[], width: number) =>
  Array.from({ length: width }, (_, w) => Uint32Array.from(table, (row) => row[w]!));

test('rows are sorted as a comparison does it, and equal ones keep their order', () => {
  fc.assert(
    fc.property(rows, (table) => {
      const expected = table.map((_, row) => row).sort((a, b) => compare(table[a]!, table[b]!));
      assert.deepEqual([...sortByWords(columnsOf(table, table[0]?.length ?? 1), table.length)], expected);
    }),
  );
});

test('descending words turn the order round, the largest word too', () => {
  fc.assert(
    fc.property(fc.array(word), (values) => {
      const expected = values.map((_, row) => row).sort((a, b) => values[b]! - values[a]!);
      assert.deepEqual([...sortByWords([Uint32Array.from(values, descending)], values.length)], expected);
    }),
  );
});

test('numbers sort as their words do, to the precision of a float', () => {
  const amount = fc.oneof(fc.double({ min: 0, max: 1e38, noNaN: true }), fc.nat());
  fc.assert(
    fc.property(amount, amount, (a, b) => {
      assert.equal(Math.sign(floatWord(a) - floatWord(b)), Math.sign(Math.fround(a) - Math.fround(b)));
    }),
  );
});

test('only as many rows as there are are looked at', () => {
  assert.deepEqual([...sortByWords([Uint32Array.of(3, 1, 2, 0)], 3)], [1, 2, 0]);
  assert.deepEqual([...sortByWords([new Uint32Array(4)], 0)], []);
});
