import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { columnTextsOf, readColumnTexts } from './column-texts.js';
import { loadDrivers } from './driver/load-driver.js';
import type { SqliteFile, SqliteRow, SqliteValue } from './driver/sqlite.js';
import { type ColumnKind, type ColumnRow, RECORD_COLUMNS } from './record-columns.js';
import { SEGMENT_TABLES } from './record-schema.js';

const COLUMNS: readonly ColumnRow[] = RECORD_COLUMNS;
const NAMES = COLUMNS.map(({ name }) => name);
const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 }) as fc.Arbitrary<SqliteValue>;
const VALUES: Readonly<Record<ColumnKind, fc.Arbitrary<SqliteValue>>> = {
  number: fc.oneof(fc.constant(null), fc.integer(), fc.maxSafeInteger()),
  address: fc.oneof(fc.constant(null), fc.integer(), bytes),
  counter: fc.oneof(
    fc.constant(null),
    fc.maxSafeNat(),
    fc.constantFrom(2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)),
  ),
};
const row: fc.Arbitrary<SqliteRow> = fc.record(Object.fromEntries(COLUMNS.map(({ name, kind }) => [name, VALUES[kind]])));
/** Rows with their numbers: some follow each other, some do not. */
const numbered = fc.array(fc.tuple(fc.constantFrom(1, 1, 1, 1, 1, 5), row), { maxLength: 12 }).map((each) => {
  let number = 0;
  return each.map(([step, values]) => {
    number += step;
    return { number, values };
  });
});

function fill(file: SqliteFile, rows: readonly { readonly number: number; readonly values: SqliteRow }[]): void {
  file.exec('DELETE FROM flow');
  const insert = file.prepare(`INSERT INTO flow (seq, ${NAMES.join(', ')}) VALUES (?${', ?'.repeat(NAMES.length)})`);
  for (const { number, values } of rows) insert.run(number, ...NAMES.map((name) => values[name]!));
}

for (const driver of loadDrivers())
  test(`${driver.name}: columns that SQLite makes are those of the rows, up to a hole`, () => {
    const file = driver.open(':memory:');
    for (const sql of SEGMENT_TABLES) file.exec(sql);
    fc.assert(
      fc.property(numbered, fc.integer({ min: 1, max: 13 }), fc.nat(20), (rows, most, after) => {
        fill(file, rows);
        const behind = rows.filter(({ number }) => number > after);
        const inOrder = behind.filter(({ number }, n) => number === behind[0]!.number + n);
        const wanted = inOrder.slice(0, most);
        const { first, whole, ...texts } = readColumnTexts(file, after, most);
        assert.deepEqual(texts, columnTextsOf(wanted.map(({ values }) => values)));
        assert.deepEqual(first, wanted[0]?.number ?? 0);
        // More may be there when as many were read as were asked for.
        assert.equal(whole, behind.length < most && inOrder.length === behind.length);
      }),
      { numRuns: 200 },
    );
    file.close();
  });
