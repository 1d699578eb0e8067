import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { suite, test } from 'node:test';
import xterm from '@xterm/headless';
import fc from 'fast-check';
import { cellsOf } from '../../test/support/pseudo-terminal.js';
import { seedFromEnvironment } from '../../test/support/random.js';
import { isUnsafe } from '../safe-text.js';
import { Screen } from './screen.js';
import { BOLD, COLORS, DIM, REVERSE, type Style, styleChange, UNDERLINE } from './style.js';
import { textWidth } from './width.js';

type Emulator = InstanceType<typeof xterm.Terminal>;

const BEGIN = '\x1b[?2026h';
const END = '\x1b[?2026l';

/** A frame without what is around every frame. */
function inside(frame: string): string {
  assert.ok(frame.startsWith(BEGIN) && frame.endsWith(END), JSON.stringify(frame));
  return frame.slice(BEGIN.length, -END.length);
}

/** A screen whose blank picture the terminal shows. */
function shown(columns = 20, rows = 3, options = {}): Screen {
  const screen = new Screen(columns, rows, options);
  screen.frame();
  return screen;
}

suite('frames', () => {
  test('the first frame blanks the terminal', () => {
    const screen = new Screen(20, 3);
    screen.put(0, 0, 'hello');
    assert.equal(inside(screen.frame()), '\x1b[?25l\x1b[m\x1b[H\x1b[2Jhello');
  });

  test('nothing changed is no frame', () => {
    const screen = shown();
    screen.put(3, 1, 'text', COLORS.red);
    assert.notEqual(screen.frame(), '');
    assert.equal(screen.frame(), '');
    screen.clear();
    screen.put(3, 1, 'text', COLORS.red);
    assert.equal(screen.frame(), '');
  });

  test('only changed cells are written, and what is near is not jumped over', () => {
    const screen = shown();
    screen.put(0, 1, '1 2345 67890');
    screen.frame();
    screen.put(0, 1, 'a 23b5 6789c');
    assert.equal(inside(screen.frame()), '\ra 23b\x1b[6Cc');
  });

  test('a character of uncertain width is jumped over, and what follows it is written again', () => {
    const screen = shown();
    screen.put(0, 0, 'a꓇b');
    assert.equal(inside(screen.frame()), 'a꓇\x1b[3Gb');
    screen.put(0, 0, 'x꓇y');
    assert.equal(inside(screen.frame()), '\rx\x1b[Cy');
    screen.put(1, 0, '\ua4c8');
    assert.equal(inside(screen.frame()), '\x1b[2G\ua4c8\x1b[3Gy');
  });

  test('a row that becomes blank is erased', () => {
    const screen = shown();
    screen.put(0, 2, 'a long text here');
    screen.frame();
    screen.clear();
    screen.put(0, 2, 'a');
    assert.equal(inside(screen.frame()), '\x1b[3G\x1b[K');
  });

  test('a repaint and a resize paint everything', () => {
    const screen = shown();
    screen.put(0, 0, 'x');
    screen.frame();
    screen.repaint();
    assert.equal(inside(screen.frame()), '\x1b[?25l\x1b[m\x1b[H\x1b[2Jx');
    screen.resize(10, 2);
    assert.equal(screen.row(0), '');
    screen.put(0, 0, 'x');
    assert.equal(inside(screen.frame()), '\x1b[?25l\x1b[m\x1b[H\x1b[2Jx');
  });

  test('the cursor is where it shall be', () => {
    const screen = shown();
    screen.showCursor(4, 1);
    assert.equal(inside(screen.frame()), '\x1b[2;5H\x1b[?25h');
    assert.equal(screen.frame(), '');
    screen.put(0, 0, 'x');
    assert.equal(inside(screen.frame()), '\x1b[1Hx\x1b[2;5H');
    screen.showCursor(99, 0);
    assert.equal(inside(screen.frame()), '\x1b[?25l');
  });

  test('without colours there are attributes still', () => {
    const screen = shown(20, 3, { color: false });
    screen.put(0, 0, 'x', COLORS.brightRed | BOLD | REVERSE);
    assert.equal(inside(screen.frame()), '\x1b[1;7mx');
  });

  test('a frame of 140 columns and 40 rows takes far less than a millisecond', () => {
    const screen = shown(140, 40);
    const draw = (n: number) => {
      screen.clear();
      for (let y = 0; y < 40; y++) {
        screen.put(0, y, ` tcp    10.1.4.${y}:51514          142.250.74.46:443        s 198.51.100.7       ESTABLISHED `);
        screen.put(100, y, `${((n * 7919 + y * 104729) % 1000) / 10}M   7.9k  1.5 GB   2m14s    ${n % 60}s`, COLORS.green);
      }
    };
    const times = [];
    for (let n = 0; n < 400; n++) {
      draw(n);
      const begin = performance.now();
      assert.notEqual(screen.frame(), '');
      times.push(performance.now() - begin);
    }
    const median = times.sort((a, b) => a - b)[200]!;
    assert.ok(median < 1, `${median} ms`);
  });
});

suite('text', () => {
  test('control characters are escaped', () => {
    const screen = shown(60, 3);
    screen.put(0, 0, 'a\x1b[2J\x9b\u202eb\x7f\n');
    assert.equal(screen.row(0), 'a\\x1b[2J\\u{9b}\\u{202e}b\\x7f\\x0a');
  });

  test('wide characters that an edge cuts become blanks', () => {
    const screen = shown(5, 2);
    assert.equal(screen.put(0, 0, 'abc字字'), 7);
    assert.equal(screen.row(0), 'abc字');
    assert.equal(screen.put(0, 0, 'abcd字x'), 7);
    assert.equal(screen.row(0), 'abcd');
    assert.equal(screen.put(-1, 1, '字x'), 2);
    assert.equal(screen.row(1), ' x');
    screen.clear();
    screen.put(0, 0, '字字', 0, 3);
    assert.equal(screen.row(0), '字');
  });

  test('half of a wide character does not stay', () => {
    const screen = shown(6, 1);
    for (const [x, expected] of [
      [0, 'x 字字'],
      [1, ' x字字'],
      [2, '字x 字'],
      [5, '字字 x'],
    ] as const) {
      screen.clear();
      screen.put(0, 0, '字字字');
      screen.put(x, 0, 'x');
      assert.equal(screen.row(0), expected);
    }
    screen.clear();
    screen.put(0, 0, '字字字');
    screen.put(1, 0, '漢');
    assert.equal(screen.row(0), ' 漢 字');
  });

  test('marks stay with their cell, and not too many of them', () => {
    const screen = shown(6, 1);
    assert.equal(screen.put(0, 0, '\u0301e\u0301x'), 2);
    assert.equal(screen.row(0), 'e\u0301x');
    screen.put(0, 0, `e${'\u0301'.repeat(100)}x`);
    assert.equal(screen.row(0), `e${'\u0301'.repeat(4)}x`);
  });

  test('joiners, variation selectors and tags are left out', () => {
    const screen = shown(20, 1);
    assert.equal(screen.put(0, 0, 'a\u200db\u2764\ufe0f\u{e0041}c\u00ad'), 4);
    assert.equal(screen.row(0), 'ab\u2764c');
  });

  test('what lies outside is left out', () => {
    const screen = shown(4, 2);
    screen.put(-2, 0, 'abcdefgh');
    screen.put(0, 2, 'below');
    screen.put(0, -1, 'above');
    assert.deepEqual([screen.row(0), screen.row(1)], ['cdef', '']);
    screen.fill(1, 1, 99, '-');
    assert.equal(screen.row(1), ' ---');
    screen.fill(0, 1, 3, '\u200d');
    screen.restyle(-5, 1, 7, BOLD);
    assert.deepEqual(
      screen.cells(1).map(({ style }) => style),
      [BOLD, BOLD, 0, 0],
    );
  });
});

test('a change of style does what both styles say', async () => {
  const emulator = new xterm.Terminal({ cols: 2, rows: 1, allowProposedApi: true });
  const styles = [
    0,
    BOLD,
    DIM,
    BOLD | DIM,
    UNDERLINE,
    REVERSE,
    COLORS.red,
    COLORS.brightBlue | BOLD,
    COLORS.white | DIM | REVERSE,
  ];
  for (const from of styles)
    for (const to of styles) {
      await written(emulator, `\x1b[H${styleChange(0, from)}${styleChange(from, to)}x\x1b[m`);
      assert.deepEqual(lookOf(cellsOf(emulator, 0)[0]!), to, `${from} to ${to}`);
    }
});

test('a terminal that takes the frames shows the pictures', async () => {
  const text = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc
      .array(
        fc.constantFrom(
          '字',
          'ひ',
          '한',
          '😀',
          '❤',
          '→',
          '█',
          'é',
          'e\u0301',
          '\u0301',
          '\u200d',
          '\x1b',
          '\x9b2J',
          '\u202e',
          'a',
          ' ',
          'ｱ',
          '\u1100\u1161\u11a8',
          '🇩🇪',
        ),
        { maxLength: 12 },
      )
      .map((parts) => parts.join('')),
  );
  const style = fc
    .tuple(fc.integer({ min: 0, max: 16 }), fc.subarray([BOLD, DIM, UNDERLINE, REVERSE]))
    .map(([color, attributes]) => attributes.reduce((all, one) => all | one, color));
  const put = fc.record({
    x: fc.integer({ min: -3, max: 24 }),
    y: fc.integer({ min: -1, max: 5 }),
    text,
    style,
    clear: fc.boolean(),
  });
  const picture = fc.record({
    puts: fc.array(put, { maxLength: 6 }),
    clear: fc.boolean(),
    cursor: fc.option(fc.tuple(fc.integer({ min: 0, max: 21 }), fc.integer({ min: 0, max: 4 })), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(picture, { minLength: 1, maxLength: 6 }), async (pictures) => {
      const screen = new Screen(22, 5);
      const emulator = new xterm.Terminal({ cols: 22, rows: 5, allowProposedApi: true });
      await written(emulator, '\x1b[?7lrubbish');
      for (const { puts, clear, cursor } of pictures) {
        if (clear) screen.clear();
        for (const { x, y, text, style } of puts) {
          assert.equal(screen.put(x, y, text, style), x + textWidth(text));
        }
        if (cursor) screen.showCursor(...cursor);
        else screen.hideCursor();
        const frame = screen.frame();
        assertHarmless(frame);
        await written(emulator, frame);
        for (let y = 0; y < 5; y++) await assertRow(screen, emulator, y);
        if (cursor) assert.deepEqual([emulator.buffer.active.cursorX, emulator.buffer.active.cursorY], cursor);
      }
      emulator.dispose();
    }),
    { numRuns: Number(process.env['SCREEN_RUNS'] ?? 400), seed: seedFromEnvironment(20261) },
  );
});

function written(emulator: Emulator, text: string): Promise<void> {
  return new Promise((resolve) => emulator.write(text, resolve));
}

/** What the emulator shows in a row is what was drawn. */
async function assertRow(screen: Screen, emulator: Emulator, y: number): Promise<void> {
  const cells = cellsOf(emulator, y);
  const drawn = screen.cells(y);
  for (const [x, { text, style }] of drawn.entries()) {
    const cell = cells[x]!;
    const where = `cell ${x} of ${JSON.stringify(drawn.map((each) => each.text))}, shown ${JSON.stringify(cells.map((each) => each.text))}`;
    const shown = cell.text.trim();
    const character = text === '' ? drawn[x - 1]!.text : text;
    // The emulator has an older Unicode: a character for which it has another width may be lost or in pieces, but stays in its cells.
    if (shown !== text.trim() && !(await isKnown(character))) {
      assert.ok(character.includes(shown), where);
      continue;
    }
    assert.equal(shown, text.trim(), where);
    if (cell.width > 0 && (shown !== '' || text === ' ')) assert.equal(lookOf(cell), style, where);
  }
}

/** Whether the emulator draws a character in one cell of the same width. */
async function isKnown(character: string): Promise<boolean> {
  const emulator = new xterm.Terminal({ cols: 20, rows: 1, allowProposedApi: true });
  await written(emulator, character);
  const [cell] = cellsOf(emulator, 0);
  return cell!.text === character && cell!.width === textWidth(character);
}

const SEQUENCE = new RegExp(`${String.fromCharCode(27)}\\[(?:\\?(?:2026|25)[hl]|[\\d;]*[mHGCDKJ])|\\r`, 'g');

/** Only sequences that a screen needs, and no other control characters. */
function assertHarmless(frame: string): void {
  const rest = frame.replaceAll(SEQUENCE, '');
  for (const character of rest) assert.ok(!isUnsafe(character.codePointAt(0)!), JSON.stringify(frame));
}

function lookOf({ color, bold, dim, underline, reverse }: ReturnType<typeof cellsOf>[number]): Style {
  return color + 1 + (bold ? BOLD : 0) + (dim ? DIM : 0) + (underline ? UNDERLINE : 0) + (reverse ? REVERSE : 0);
}
