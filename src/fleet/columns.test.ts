import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { writeColumns, writeRows } from './columns.js';

/** Byte k of all rows side by side. */
function sideBySide(rows: readonly Uint8Array[], size: number): number[] {
  return Array.from({ length: size }, (_, k) => rows.map((row) => row[k]!)).flat();
}

const tables = fc.tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 70 }), fc.nat(7)).chain(([size, count, gap]) =>
  fc.record({
    size: fc.constant(size),
    gap: fc.constant(gap),
    rows: fc.array(fc.uint8Array({ minLength: size, maxLength: size }), { minLength: count, maxLength: count }),
  }),
);

test('rows become columns, wherever they stand, and columns become rows, of any number and size', () => {
  fc.assert(
    fc.property(tables, ({ size, gap, rows }) => {
      const count = rows.length;
      // From the last to the first, with a gap before each.
      const from = new Uint8Array(count * (size + gap));
      const starts = Int32Array.from(rows, (_, n) => (count - 1 - n) * (size + gap) + gap);
      for (const [n, row] of rows.entries()) from.set(row, starts[n]!);
      const to = new Uint8Array(gap + count * size + 4).fill(0xee);
      // The index of the first row may be another one.
      writeColumns(dataOf(from), Int32Array.of(-1, ...starts), 1, count, size, dataOf(to), gap);
      assert.deepEqual([...to.subarray(gap, gap + count * size)], sideBySide(rows, size));
      assert.deepEqual([...to.subarray(0, gap), ...to.subarray(gap + count * size)], Array(gap + 4).fill(0xee));
      const back = new Uint8Array(gap + count * size + 4).fill(0xdd);
      writeRows(dataOf(to), gap, count, size, dataOf(back), gap);
      assert.deepEqual(
        [...back.subarray(gap, gap + count * size)],
        rows.flatMap((row) => [...row]),
      );
      assert.deepEqual([...back.subarray(0, gap), ...back.subarray(gap + count * size)], Array(gap + 4).fill(0xdd));
    }),
    { numRuns: 300 },
  );
});

function dataOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
