import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findDifferences, NO_COLUMN, writeColumns, writeRows } from './columns.js';

const tables = fc.tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 70 }), fc.nat(7)).chain(([size, count, gap]) =>
  fc.record({
    size: fc.constant(size),
    gap: fc.constant(gap),
    rows: fc.array(fc.uint8Array({ minLength: size, maxLength: size }), { minLength: count, maxLength: count }),
  }),
);

test('rows become columns, wherever they stand, and columns become rows, of any number and size', () => {
  fc.assert(
    fc.property(tables, fc.func(fc.boolean()), ({ size, gap, rows }, isKept) => {
      const count = rows.length;
      // From the last to the first, with a gap before each.
      const from = new Uint8Array(count * (size + gap));
      const starts = Int32Array.from(rows, (_, n) => (count - 1 - n) * (size + gap) + gap);
      // Some columns are left out: there all rows have what the first one has.
      const kept = Array.from({ length: size }, (_, k) => k).filter((k) => isKept(k));
      const common = Uint8Array.from(rows[0]!, (value, k) => (kept.includes(k) ? 0 : value));
      for (const row of rows) for (let k = 0; k < size; k++) if (!kept.includes(k)) row[k] = common[k]!;
      for (const [n, row] of rows.entries()) from.set(row, starts[n]!);
      const places = new Int32Array(size).fill(NO_COLUMN);
      for (const [n, k] of kept.entries()) places[k] = gap + n * count;
      const length = kept.length * count;
      const to = new Uint8Array(gap + length + 4).fill(0xee);
      // The index of the first row may be another one.
      const indexes = Int32Array.of(-1, ...starts);
      writeColumns(dataOf(from), indexes, 1, count, size, dataOf(to), places);
      assert.deepEqual(
        [...to.subarray(gap, gap + length)],
        kept.flatMap((k) => rows.map((row) => row[k]!)),
      );
      assert.deepEqual([...to.subarray(0, gap), ...to.subarray(gap + length)], Array(gap + 4).fill(0xee));
      const back = new Uint8Array(gap + count * size + 4).fill(0xdd);
      writeRows(dataOf(to), places, dataOf(common), count, size, dataOf(back), gap);
      assert.deepEqual(
        [...back.subarray(gap, gap + count * size)],
        rows.flatMap((row) => [...row]),
      );
      assert.deepEqual([...back.subarray(0, gap), ...back.subarray(gap + count * size)], Array(gap + 4).fill(0xdd));
      const differences = new Int32Array((size + 3) >> 2).fill(-1);
      findDifferences(dataOf(from), indexes, 1, count, size, differences);
      const differing = new Uint8Array(differences.buffer);
      for (let k = 0; k < size; k++)
        assert.equal(
          differing[k],
          rows.reduce((bits, row) => bits | (row[k]! ^ rows[0]![k]!), 0),
        );
    }),
    { numRuns: 300 },
  );
});

function dataOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
