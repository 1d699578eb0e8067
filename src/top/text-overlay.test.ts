import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { click, OverlayTester, wheel } from '../../test/support/terminal-input.js';
import { COLORS } from './style.js';
import { TextOverlay } from './text-overlay.js';
import { wrapText } from './text-pane.js';

const numbered = (count: number) => Array.from({ length: count }, (_, n) => `line ${n + 1}`);

suite('a text over the picture', () => {
  test('is framed in the middle', () => {
    const { screen } = new OverlayTester(new TextOverlay('Help', ['one', { text: 'two', style: COLORS.red }]), { rows: 8 });
    assert.equal(screen.row(1), '');
    assert.equal(screen.row(2), `${' '.repeat(22)}┌─ Help ${'─'.repeat(26)}─┐`);
    assert.equal(screen.row(3), `${' '.repeat(22)}│ one${' '.repeat(29)} │`);
    assert.equal(screen.row(5), `${' '.repeat(22)}└─${'─'.repeat(20)} Esc closes ─┘`);
    assert.equal(screen.cells(4)[24]!.style, COLORS.red);
  });

  test('is ASCII where nothing else can be shown', () => {
    const tester = new OverlayTester(new TextOverlay('Help', ['one']), { ascii: true });
    assert.match(tester.lines.join(''), /^[ -~]*$/);
    assert.match(tester.lines[0]!, /^\+- Help -+\+$/);
  });

  test('scrolls, and says where it is', () => {
    const tester = new OverlayTester(new TextOverlay('Help', numbered(30)), { columns: 60, rows: 10 });
    const seen = () => [tester.lines[1]!.slice(2).split('  ')[0], /\d+-\d+ of \d+/.exec(tester.lines.at(-1)!)?.[0]];
    assert.deepEqual(seen(), ['line 1', '1-8 of 30']);
    const steps = [
      ['Down', 'line 2', '2-9 of 30'],
      ['j', 'line 3', '3-10 of 30'],
      ['Up', 'line 2', '2-9 of 30'],
      ['k', 'line 1', '1-8 of 30'],
      ['k', 'line 1', '1-8 of 30'],
      ['PageDown', 'line 9', '9-16 of 30'],
      ['PageUp', 'line 1', '1-8 of 30'],
      ['End', 'line 23', '23-30 of 30'],
      ['PageDown', 'line 23', '23-30 of 30'],
      ['Home', 'line 1', '1-8 of 30'],
      [wheel('wheel down'), 'line 4', '4-11 of 30'],
      [wheel('wheel up'), 'line 1', '1-8 of 30'],
    ] as const;
    for (const [input, ...expected] of steps) {
      tester.take(input);
      assert.deepEqual(seen(), expected);
    }
  });

  test('can tell what is new, at the same place', () => {
    const overlay = new TextOverlay('Information', numbered(30));
    const tester = new OverlayTester(overlay, { columns: 60, rows: 10 }).take('PageDown');
    overlay.show(numbered(30).map((line) => `new ${line}`));
    tester.resize(60, 10);
    assert.match(tester.lines[1]!, /new line 9 /);
  });

  test('shows its end when there is room again', () => {
    const tester = new OverlayTester(new TextOverlay('Help', numbered(12)), { rows: 10 }).take('End');
    tester.resize(80, 24);
    assert.equal(tester.lines.length, 14);
    assert.match(tester.lines[1]!, /line 1 /);
  });

  for (const key of ['Escape', 'q', 'Enter', '?', 'i', 'Ctrl-c'])
    test(`closes with ${key}`, () => {
      assert.equal(new OverlayTester(new TextOverlay('Help', ['one'])).take(key).open, false);
    });

  test('closes with a click beside it, not on it', () => {
    const tester = new OverlayTester(new TextOverlay('Help', ['one']));
    assert.equal(tester.take('x', '/').clickOn('one').open, true);
    assert.equal(tester.take(click(0, 0)).open, false);
  });

  test('fits whatever screen there is', () => {
    for (let columns = 1; columns < 70; columns += 3)
      for (let rows = 1; rows < 14; rows++) {
        const tester = new OverlayTester(new TextOverlay('A long title of it', numbered(20)), { columns, rows });
        tester.take('End', 'PageUp');
      }
  });
});

suite('wrapping', () => {
  const cases: readonly (readonly [string, number, readonly string[]])[] = [
    ['', 10, ['']],
    ['one two', 10, ['one two']],
    ['one two three four', 9, ['one two', 'three', 'four']],
    ['  one two three', 9, ['  one two', '  three']],
    ['k  one two three four', 12, ['k  one two', '   three', '   four']],
    ['abcdefghijkl', 5, ['abcde', 'fghij', 'kl']],
    ['ab cdefghij', 5, ['ab', 'cdefg', 'hij']],
    ['日本日本日', 5, ['日本', '日本', '日']],
    ['a\u001bb', 80, ['a\\x1bb']],
  ];
  for (const [text, columns, expected] of cases)
    test(`${JSON.stringify(text)} at ${columns}`, () => {
      assert.deepEqual(wrapText(text, columns), expected);
    });
});
