// Which columns fit, where they stand, and how a text gets into a cell.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { seedFromEnvironment } from '../../test/support/random.js';
import { FLOW_COLUMNS } from './flow-cells.js';
import { groupColumns } from './group-cells.js';
import { cutEnd, inCell, placeColumns, type TableColumn } from './table-layout.js';
import { textWidth } from './width.js';

const SEED = 20272;
const context = (width: number) => ({ unit: 'bits', averages: true, ascii: false, several: true, width }) as const;
const names = (placed: readonly { readonly column: { readonly name: string } }[]) =>
  placed.map(({ column }) => column.name).join(' ');

suite('columns', () => {
  const place = (columns: number, hidden = 0) => placeColumns(FLOW_COLUMNS, 1, columns - 1, context(columns), [], hidden);

  test('come by priority as there is room, and stand in their order', () => {
    assert.equal(names(place(60)), 'source destination state rate-original rate-reply');
    assert.equal(names(place(80)), 'netns protocol source destination state rate-original rate-reply age');
    assert.equal(
      names(place(200)),
      'netns protocol source destination state rate-original rate-reply packets bytes age idle expires',
    );
  });

  test('that say what a row is stay, where others are left out to see more', () => {
    for (let hidden = 0; hidden < FLOW_COLUMNS.length; hidden++) assert.match(names(place(80, hidden)), /source destination/);
    assert.equal(names(place(80, 6)), 'source destination packets bytes idle expires');
  });

  test('that no row has anything for are left out', () => {
    const empty: TableColumn<number> = {
      name: 'e',
      title: () => 'E',
      least: 3,
      priority: 0,
      text: () => '',
      isEmpty: (row) => row < 5,
    };
    assert.equal(names(placeColumns([empty], 0, 80, context(80), [1, 2])), '');
    assert.equal(names(placeColumns([empty], 0, 80, context(80), [1, 7])), 'e');
  });

  test('never overlap, leave the table, or lose what they need', () => {
    const tables = [FLOW_COLUMNS, groupColumns('source')] as readonly (readonly TableColumn<never>[])[];
    fc.assert(
      fc.property(fc.integer({ min: 30, max: 300 }), fc.nat(16), fc.constantFrom(...tables), (width, hidden, columns) => {
        const placed = placeColumns(columns, 1, width - 1, context(width), [], hidden);
        let end = 0;
        for (const { column, x, width: cells } of placed) {
          assert.ok(x >= end + (end === 0 ? 0 : 1), column.name);
          assert.ok(cells >= column.least && cells <= Math.max(column.most ?? 0, column.good ?? 0, column.least), column.name);
          end = x + cells;
        }
        assert.ok(end <= width - 1 + 1);
        assert.deepEqual(
          [...placed].sort((a, b) => columns.indexOf(a.column) - columns.indexOf(b.column)),
          placed,
        );
      }),
      { seed: seedFromEnvironment(SEED) },
    );
  });
});

suite('cells', () => {
  test('are padded on either side, and cut at the end with a mark', () => {
    assert.equal(inCell('ab', 4, false, false), 'ab  ');
    assert.equal(inCell('ab', 4, true, false), '  ab');
    assert.equal(inCell('abcdef', 4, true, false), 'abc…');
    assert.equal(inCell('abcdef', 4, true, true), 'abc~');
    assert.equal(cutEnd('漢字漢字', 4, false), '漢… ');
  });

  test('in ASCII have nothing else', () => {
    assert.equal(inCell('·', 3, true, true), '  .');
    assert.equal(inCell('naïve', 6, false, true), 'na?ve ');
  });

  test('hold any text, harmless and exactly as wide', () => {
    const text = fc.string({
      unit: fc.oneof(fc.string({ unit: 'binary', maxLength: 1 }), fc.constantFrom('\x1b', '漢', '\u202e', '🇩🇪')),
    });
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 30 }), fc.boolean(), fc.boolean(), (given, width, right, ascii) => {
        const cell = inCell(given, width, right, ascii);
        assert.equal(textWidth(cell), width);
        assert.doesNotMatch(cell, /[\p{Cc}\p{Bidi_Control}]/u);
        if (ascii) assert.match(cell, /^[ -~]*$/);
      }),
      { seed: seedFromEnvironment(SEED) },
    );
  });
});
