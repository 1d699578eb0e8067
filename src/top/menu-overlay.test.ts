import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { click, key, OverlayTester, paste, wheel } from '../../test/support/terminal-input.js';
import { MenuOverlay } from './menu-overlay.js';
import { REVERSE } from './style.js';

const ITEMS = [
  { key: 's', text: 'source' },
  { key: 'd', text: 'destination' },
  { key: 'j', text: 'something whose key moves elsewhere' },
  { key: '/', text: 'prefix length' },
];

function menu(options: { columns?: number; rows?: number; ascii?: boolean } = {}, items = ITEMS, current?: string) {
  const chosen: string[] = [];
  const tester = new OverlayTester(new MenuOverlay('Group by', items, (key) => chosen.push(key), current), options);
  return { tester, chosen };
}

const many = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ key: String.fromCharCode(0x41 + n), text: `item ${n + 1}` }));

/** The row with the cursor. */
function current({ screen }: OverlayTester): string {
  const rows = Array.from({ length: screen.rows }, (_, y) => screen.cells(y).filter(({ style }) => style & REVERSE));
  return rows
    .flat()
    .map(({ text }) => text)
    .join('')
    .trim();
}

suite('a menu', () => {
  test('lists its items in a frame, the cursor on the first', () => {
    const { tester } = menu();
    assert.match(tester.lines[0]!, /^┌─ Group by ─+┐$/);
    assert.equal(tester.lines.length, ITEMS.length + 2);
    assert.match(tester.lines[2]!, /^│ {2}d {2}destination +│$/);
    assert.equal(current(tester), 's  source');
  });

  test('can have the cursor on another item', () => {
    assert.equal(current(menu({}, ITEMS, '/').tester), '/  prefix length');
  });

  for (const { key } of ITEMS)
    test(`the key ${key} chooses and closes`, () => {
      const { tester, chosen } = menu();
      assert.equal(tester.take(key).open, false);
      assert.deepEqual(chosen, [key]);
    });

  test('what is no item does nothing', () => {
    const { tester, chosen } = menu();
    assert.equal(tester.take('S', 'x', 'F1', paste('s')).open, true);
    assert.deepEqual(chosen, []);
  });

  for (const key of ['Escape', 'q', 'Ctrl-c'])
    test(`${key} closes it and chooses nothing`, () => {
      const { tester, chosen } = menu();
      assert.equal(tester.take(key).open, false);
      assert.deepEqual(chosen, []);
    });

  test('arrows and Enter choose', () => {
    const { tester, chosen } = menu();
    tester.take('Up', 'Down', 'Down', 'Down', 'Down', 'Up', wheel('wheel up'), 'Enter');
    assert.deepEqual([tester.open, chosen], [false, ['d']]);
  });

  test('a click on an item chooses it, one on the frame nothing, one beside it closes', () => {
    const one = menu();
    assert.equal(one.tester.clickOn('Group by').open, true);
    assert.equal(one.tester.clickOn('ination').open, false);
    assert.deepEqual(one.chosen, ['d']);
    const two = menu();
    assert.equal(two.tester.take(click(1, 1)).open, false);
    assert.deepEqual(two.chosen, []);
  });

  test('goes on in a second column where the rows are few', () => {
    const { tester, chosen } = menu({ columns: 60, rows: 10 }, many(16));
    assert.match(tester.lines[1]!, /A {2}item 1 +I {2}item 9/);
    tester.take('Down', 'Right', 'Right');
    assert.equal(current(tester), 'J  item 10');
    tester.take('Left');
    assert.equal(current(tester), 'B  item 2');
    tester.clickOn('item 16');
    assert.deepEqual(chosen, ['P']);
  });

  test('scrolls to the cursor where there is no room for columns', () => {
    const { tester, chosen } = menu({ columns: 24, rows: 6 }, many(12));
    assert.match(tester.lines.join('\n'), /item 4/);
    assert.doesNotMatch(tester.lines.join('\n'), /item 5/);
    tester.take(...Array.from({ length: 6 }, () => key('Down')));
    assert.equal(current(tester), 'G  item 7');
    assert.match(tester.lines.at(-1)!, /7 of 12/);
    tester.clickOn('item 5');
    assert.deepEqual(chosen, ['E']);
  });

  test('cuts texts that do not fit, in ASCII too', () => {
    const { tester } = menu({ columns: 24, ascii: true });
    assert.match(tester.lines[3]!, /^\| {2}j {2}something whose~ \|$/);
  });
});
