import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { click, key, OverlayTester, paste } from '../../test/support/terminal-input.js';
import { completeFilterText } from '../ctnetlink/filter/complete.js';
import { parseToFlowFilter } from '../ctnetlink/filter/parser.js';
import { FilterError } from '../errors.js';
import { type PromptOptions, PromptOverlay } from './prompt-overlay.js';
import { Screen } from './screen.js';
import { COLORS, DIM, REVERSE, UNDERLINE } from './style.js';
import { TEXT_LIMIT } from './text-box.js';

const WORDS = [
  { text: 'dport', help: 'destination port' },
  { text: 'dst', help: 'destination address' },
  { text: 'src', help: 'source address' },
  { text: 'status', help: 'a bit of the status' },
  { text: 'state', help: 'protocol state' },
];

/** `bad` is wrong wherever it stands, and `and` at the end. */
function check(text: string) {
  const at = text.indexOf('bad');
  if (at >= 0) return { message: 'unknown word bad', hint: 'did you mean good?', at, length: 3 };
  return text.endsWith('and') ? { message: 'a test is missing', at: text.length, length: 0 } : undefined;
}

function complete(text: string, cursor: number) {
  const typed = /\w*$/.exec(text.slice(0, cursor))![0];
  return WORDS.filter((word) => word.text.startsWith(typed));
}

function checkFilter(text: string) {
  try {
    parseToFlowFilter(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return { message: error.problem, at: error.offset, length: error.length };
  }
}

test('a text is checked once for each picture, however fast its keys come, and before it is entered', () => {
  const checked: string[] = [];
  const entered: string[] = [];
  const overlay = new PromptOverlay('/', 'tcp', [], {
    check: (text) => {
      checked.push(text);
      return undefined;
    },
    done: (text) => entered.push(text),
  });
  const screen = new Screen(80, 24);
  overlay.draw(screen, { ascii: false });
  for (const character of ' and not udp') overlay.take(key(character));
  assert.deepEqual(checked, ['tcp']);
  overlay.draw(screen, { ascii: false });
  overlay.draw(screen, { ascii: false });
  assert.deepEqual(checked, ['tcp', 'tcp and not udp']);
  overlay.take(key('x'));
  overlay.take(key('Enter'));
  assert.deepEqual([checked.at(-1), entered], ['tcp and not udpx', ['tcp and not udpx']]);
});

interface Setting extends Partial<PromptOptions> {
  readonly label?: string;
  readonly text?: string;
  readonly history?: readonly string[];
  readonly columns?: number;
  readonly ascii?: boolean;
}

function prompt({ label = '/', text = '', history = [], columns = 60, ascii = false, ...options }: Setting = {}) {
  const entered: string[] = [];
  const histories: (readonly string[])[] = [];
  const done = (line: string, lines: readonly string[]) => {
    entered.push(line);
    histories.push(lines);
  };
  const overlay = new PromptOverlay(label, text, history, { done, ...options });
  const tester = new OverlayTester(overlay, { columns, rows: 10, ascii });
  return { tester, entered, histories };
}

const BOX = 9;
const SAYING = 8;

suite('a prompt', () => {
  test('is the last line, and takes no other while it has nothing to say', () => {
    const { tester } = prompt({ text: 'tcp' });
    assert.equal(tester.screen.row(BOX), ' /tcp');
    assert.equal(tester.lines.length, 1);
  });

  test('has a blank after a label that is a word', () => {
    assert.equal(prompt({ label: 'find:', text: 'x' }).tester.screen.row(BOX), ' find: x');
    assert.equal(prompt({ label: 'group by src/', text: '24' }).tester.screen.row(BOX), ' group by src/24');
  });

  test('shows the cursor where one types', () => {
    const { tester } = prompt({ text: 'tcp' });
    tester.screen.frame();
    tester.take('Left');
    assert.equal(tester.screen.frame(), '\x1b[?2026h\x1b[5G\x1b[?2026l');
  });

  test('shows how to use it', () => {
    const { tester } = prompt({ hint: 'empty: all flows' });
    assert.equal(tester.screen.row(SAYING), ' empty: all flows');
    assert.equal(tester.marked(SAYING, DIM), 'empty: all flows');
  });

  test('Enter takes the text, with the history for the next', () => {
    const { tester, entered, histories } = prompt({ history: ['udp'] });
    assert.equal(tester.type('tcp').take('Enter').open, false);
    assert.deepEqual([entered, histories], [['tcp'], [['udp', 'tcp']]]);
  });

  for (const key of ['Escape', 'Ctrl-c'])
    test(`${key} closes without taking it`, () => {
      const { tester, entered } = prompt({ text: 'tcp' });
      assert.equal(tester.take(key).open, false);
      assert.deepEqual(entered, []);
    });

  test('the arrows show what was entered before', () => {
    const { tester, entered } = prompt({ history: ['tcp', 'udp'] });
    tester.take('Up', 'Up', 'Enter');
    assert.deepEqual(entered, ['tcp']);
  });

  test('pasted text goes into the box and enters nothing', () => {
    const { tester, entered } = prompt({ text: 'a ' });
    assert.equal(tester.take(paste('tcp\rq')).open, true);
    assert.equal(tester.screen.row(BOX), ' /a tcpq');
    assert.deepEqual(entered, []);
  });

  test('says that a paste was too long', () => {
    for (const next of ['Backspace', 'Tab']) {
      const tester = prompt().tester.take(paste('x'.repeat(TEXT_LIMIT + 1)));
      assert.match(tester.screen.row(SAYING), /too long and is cut/);
      tester.take(next);
      assert.equal(tester.screen.row(SAYING), '');
    }
  });

  test('a hint that does not fit beside the error has a line of its own', () => {
    for (const columns of [60, 30]) {
      const rows = prompt({ text: 'bad', columns, check }).tester.take('Left').screen;
      const lines = columns === 60 ? [' unknown word bad  did you mean good?'] : [' unknown word bad', ' did you mean good?'];
      assert.deepEqual(columns === 60 ? [rows.row(SAYING)] : [rows.row(SAYING - 1), rows.row(SAYING)], lines);
    }
  });

  test('is not disturbed by the mouse and other keys', () => {
    assert.equal(prompt().tester.take(click(3, 3), 'F1', 'PageUp', 'Alt-x').open, true);
  });
});

suite('errors in a prompt', () => {
  test('are told and marked at their place', () => {
    const { tester } = prompt({ check, text: 'tcp and bad x' });
    assert.equal(tester.screen.row(SAYING), ' unknown word bad  did you mean good?');
    assert.equal(tester.marked(SAYING, COLORS.red), 'unknown word bad');
    assert.equal(tester.marked(BOX, COLORS.red | UNDERLINE), 'bad');
  });

  test('are dim at the end of what is being typed, and not marked', () => {
    const { tester } = prompt({ check });
    tester.type('bad');
    assert.match(tester.marked(SAYING, DIM), /unknown word bad/);
    assert.equal(tester.marked(BOX, UNDERLINE), '');
    tester.take('Left');
    assert.equal(tester.marked(BOX, COLORS.red | UNDERLINE), 'bad');
    tester.take('End', ' ', 'x');
    assert.equal(tester.marked(BOX, COLORS.red | UNDERLINE), 'bad');
  });

  const filters: readonly (readonly [string, 'dim' | 'red'])[] = [
    ['tcp and ', 'dim'],
    ['dport ', 'dim'],
    ['(tcp', 'dim'],
    ['(tcp and dport 44', 'dim'],
    ['tcp and dpo', 'dim'],
    ['src 10.0.', 'dim'],
    ['tcp and dpo ', 'red'],
    ['dpo 443', 'red'],
    ['(dport 44x and', 'red'],
    ['tcp )', 'dim'],
    ['tcp ) ', 'red'],
  ];
  for (const [text, expected] of filters)
    test(`of the filter ${JSON.stringify(text)} are ${expected} while it is typed`, () => {
      const { tester } = prompt({ check: checkFilter, complete: completeFilterText });
      tester.type(text);
      assert.notEqual(tester.screen.row(SAYING), '');
      assert.equal(tester.marked(SAYING, COLORS.red) === '' ? 'dim' : 'red', expected);
      assert.equal(tester.marked(BOX, UNDERLINE) === '' ? 'dim' : 'red', expected);
    });

  test('keep Enter from taking the text, and are marked then', () => {
    const { tester, entered } = prompt({ check, text: 'tcp and' });
    assert.equal(tester.marked(SAYING, COLORS.red), '');
    assert.equal(tester.take('Enter').open, true);
    assert.deepEqual(entered, []);
    assert.equal(tester.marked(SAYING, COLORS.red), 'a test is missing');
    assert.equal(tester.marked(BOX, COLORS.red | UNDERLINE), ' ');
    assert.equal(tester.take('Ctrl-w', 'Enter').open, false);
    assert.deepEqual(entered, ['tcp ']);
  });

  test('are marked in the part of a long text that is seen', () => {
    const { tester } = prompt({ check, text: `${'x '.repeat(40)}bad y`, columns: 30 });
    assert.equal(tester.marked(BOX, COLORS.red | UNDERLINE), 'bad');
    tester.take('Home');
    assert.equal(tester.marked(BOX, COLORS.red | UNDERLINE), '');
  });

  test('are cut to the width', () => {
    const { screen } = prompt({ check, text: 'bad x', columns: 12 }).tester;
    assert.deepEqual([screen.row(SAYING - 1), screen.row(SAYING)], [' unknown w…', ' did you m…']);
  });

  test('without a place are told only', () => {
    const { tester } = prompt({ check: () => ({ message: 'no number' }), text: 'x' });
    assert.equal(tester.marked(SAYING, COLORS.red), 'no number');
    assert.equal(tester.marked(BOX, UNDERLINE), '');
  });
});

suite('completion in a prompt', () => {
  const box = (setting: Setting, ...keys: readonly string[]) => prompt({ complete, ...setting }).tester.take(...keys);

  test('one word is written whole', () => {
    assert.equal(box({ text: 'tcp and sr' }, 'Tab', 'x').screen.row(BOX), ' /tcp and src x');
  });

  test('in the middle of a text, no second blank is written', () => {
    const tester = box({ text: 'sr 10.0.0.1' }, 'Home', 'Right', 'Right', 'Tab');
    assert.equal(tester.screen.row(BOX), ' /src 10.0.0.1');
  });

  test('of several, what they have in common', () => {
    const tester = box({ text: 's' }, 't', 'Tab');
    assert.equal(tester.screen.row(BOX), ' /stat');
    assert.match(tester.screen.row(SAYING), /^ status {2}state +a bit of the status$/);
  });

  test('then one after the other, with its help', () => {
    const tester = box({ text: 'st' }, 'Tab', 'Tab');
    const seen = () => [tester.screen.row(BOX), tester.marked(SAYING, REVERSE), tester.marked(SAYING, DIM)];
    assert.deepEqual(seen(), [' /status', 'status', 'a bit of the status']);
    const steps = [
      ['Tab', ' /state', 'state', 'protocol state'],
      ['Tab', ' /status', 'status', 'a bit of the status'],
      ['Shift-Tab', ' /state', 'state', 'protocol state'],
      [' ', ' /state', '', ''],
    ] as const;
    for (const [key, ...expected] of steps) {
      tester.take(key);
      assert.deepEqual(seen(), expected, key);
    }
  });

  test('or from the last on', () => {
    assert.equal(box({}, 'Tab', 'Shift-Tab').screen.row(BOX), ' /state');
  });

  test('the current word is seen in a narrow line', () => {
    for (let columns = 20; columns < 50; columns++)
      for (let tabs = 1; tabs <= WORDS.length; tabs++) {
        const tester = box({ columns }, 'Tab', ...Array.from({ length: tabs }, () => 'Tab'));
        assert.equal(tester.marked(SAYING, REVERSE), WORDS[tabs - 1]!.text, `${columns} ${tabs}`);
      }
  });

  test('nothing fits, nothing changes', () => {
    assert.deepEqual(box({ text: 'xyz' }, 'Tab', 'Tab').lines, ['/xyz']);
    assert.deepEqual(prompt({ text: 'sr' }).tester.take('Tab').lines, ['/sr']);
  });

  test('what is written is checked', () => {
    const tester = box({ text: 'ba', check, complete: (text) => (text === 'ba' ? [{ text: 'bad', help: '' }] : []) }, 'Tab', 'x');
    assert.equal(tester.marked(BOX, COLORS.red | UNDERLINE), 'bad');
  });

  test('is ASCII where nothing else can be shown', () => {
    const tester = box({ columns: 20, ascii: true }, 'Tab', 'Tab', 'Tab', 'Tab');
    assert.match(tester.lines.join(''), /^[ -~]*$/);
  });
});
