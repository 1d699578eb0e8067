// Where the parts of the screen are, for every size and everything that can be wanted.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { LEAST_COLUMNS, LEAST_ROWS, layOut, type Wanted } from './top-layout.js';

const NOTHING: Wanted = { grouped: false, drilled: false, details: false, notice: false };
const at = (rows: number, wanted: Partial<Wanted> = {}, columns = 140) => layOut({ columns, rows }, { ...NOTHING, ...wanted });

suite('the layout', () => {
  const headers = [
    [10, 1],
    [15, 1],
    [16, 2],
    [23, 2],
    [24, 4],
    [60, 4],
  ] as const;
  for (const [rows, header] of headers)
    test(`of ${rows} rows has ${header} lines of header`, () => assert.equal(at(rows).header, header));

  test('has flows, or groups, or both where there is room', () => {
    const parts = (rows: number, wanted: Partial<Wanted>) => {
      const { groups, flows } = at(rows, wanted);
      return [groups !== undefined, flows !== undefined];
    };
    assert.deepEqual(parts(24, {}), [false, true]);
    assert.deepEqual(parts(24, { grouped: true }), [true, false]);
    assert.deepEqual(parts(24, { grouped: true, drilled: true }), [false, true]);
    assert.deepEqual(parts(31, { grouped: true }), [true, false]);
    assert.deepEqual(parts(32, { grouped: true }), [true, true]);
    assert.deepEqual(parts(32, { grouped: true, drilled: true }), [true, true]);
  });

  test('has room for details that go on in the next line, on narrow screens', () => {
    assert.equal(at(24, { details: true }, 120).details?.rows, 5);
    assert.equal(at(24, { details: true }, 119).details?.rows, 8);
    assert.equal(at(19, { details: true }).details, undefined);
  });

  test('has no line for a notice on low screens', () => {
    assert.equal(at(15, { notice: true }).notice, undefined);
    assert.equal(at(16, { notice: true }).notice, 2);
    assert.equal(at(24, { notice: true }).notice, 4);
  });

  test('uses every row once, whatever is wanted', () => {
    for (let rows = LEAST_ROWS; rows <= 100; rows++)
      for (const columns of [LEAST_COLUMNS, 119, 120])
        for (let bits = 0; bits < 16; bits++) {
          const wanted = {
            grouped: (bits & 1) !== 0,
            drilled: (bits & 1) !== 0 && (bits & 2) !== 0,
            details: (bits & 4) !== 0,
            notice: (bits & 8) !== 0,
          };
          const { header, notice, groups, flows, details, summary, keys } = layOut({ columns, rows }, wanted);
          const used = new Array(rows).fill(0);
          const use = (from: number, count: number) => {
            for (let y = from; y < from + count; y++) used[y]++;
          };
          use(0, header);
          if (notice !== undefined) use(notice, 1);
          if (groups) use(groups.y, groups.rows + 2);
          if (flows) use(flows.y, flows.rows + 2);
          if (details) use(details.y, details.rows + 1);
          if (summary !== undefined) use(summary, 1);
          use(keys, 1);
          const what = JSON.stringify({ rows, columns, ...wanted });
          assert.deepEqual(used, new Array(rows).fill(1), what);
          assert.ok((groups?.rows ?? 1) > 0 && (flows?.rows ?? 1) > 0, what);
          assert.ok(groups || flows, what);
        }
  });
});
