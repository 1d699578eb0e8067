import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Random, seedFromEnvironment } from '../../test/support/random.js';
import { ESCAPE_TIME, InputParser, PASTE_LIMIT, PASTE_TIME, type TerminalInput } from './input.js';

/** Random cases of each kind; `INPUT_CASES=1000000` for a long run. */
const CASES = Number(process.env['INPUT_CASES'] ?? 100_000);
const ESC = '\x1b';

/** What text makes, with nothing after it. Keys as their names. */
function made(text: string | Uint8Array): unknown[] {
  const parser = new InputParser();
  const events = parser.push(typeof text === 'string' ? Buffer.from(text) : text, 0);
  return [...events, ...parser.expire(PASTE_TIME)].map((event) => (event.type === 'key' ? event.key : event));
}

suite('keys', () => {
  const keys: readonly (readonly [string, ...string[]])[] = [
    ['a', 'a'],
    ['/é字😀', '/', 'é', '字', '😀'],
    ['\x01\x1a\x00\x1c\x1f', 'Ctrl-a', 'Ctrl-z', 'Ctrl- ', 'Ctrl-\\', 'Ctrl-_'],
    ['\t\r\n', 'Tab', 'Enter', 'Enter'],
    ['\x7f\x08', 'Backspace', 'Backspace'],
    [`${ESC}[A${ESC}[B${ESC}[C${ESC}[D`, 'Up', 'Down', 'Right', 'Left'],
    [`${ESC}OA${ESC}OB${ESC}OC${ESC}OD`, 'Up', 'Down', 'Right', 'Left'],
    [`${ESC}[H${ESC}OH${ESC}[1~${ESC}[7~`, 'Home', 'Home', 'Home', 'Home'],
    [`${ESC}[F${ESC}OF${ESC}[4~${ESC}[8~`, 'End', 'End', 'End', 'End'],
    [`${ESC}[2~${ESC}[3~${ESC}[5~${ESC}[6~`, 'Insert', 'Delete', 'PageUp', 'PageDown'],
    [`${ESC}OP${ESC}OQ${ESC}OR${ESC}OS`, 'F1', 'F2', 'F3', 'F4'],
    [`${ESC}[11~${ESC}[12~${ESC}[13~${ESC}[14~${ESC}[15~`, 'F1', 'F2', 'F3', 'F4', 'F5'],
    [`${ESC}[[A${ESC}[[B${ESC}[[C${ESC}[[D${ESC}[[E`, 'F1', 'F2', 'F3', 'F4', 'F5'],
    [`${ESC}[17~${ESC}[18~${ESC}[19~${ESC}[20~${ESC}[21~${ESC}[23~${ESC}[24~`, 'F6', 'F7', 'F8', 'F9', 'F10', 'F11', 'F12'],
    [
      `${ESC}[Z${ESC}[1;2A${ESC}[1;5C${ESC}[3;3~${ESC}[1;8P`,
      'Shift-Tab',
      'Shift-Up',
      'Ctrl-Right',
      'Alt-Delete',
      'Ctrl-Alt-Shift-F1',
    ],
    [`${ESC}x${ESC}é${ESC}\x03${ESC}\r${ESC}\x7f`, 'Alt-x', 'Alt-é', 'Ctrl-Alt-c', 'Alt-Enter', 'Alt-Backspace'],
    [`${ESC}OM`, 'Enter'],
    [ESC, 'Escape'],
    [`${ESC}${ESC}`, 'Escape', 'Escape'],
    [`${ESC}${ESC}[A`, 'Escape', 'Up'],
    [`${ESC}[`, 'Alt-['],
    [`${ESC}O`, 'Alt-O'],
    // Neither keys nor anything that may be taken for keys:
    [`${ESC}[I${ESC}[O`],
    [`${ESC}[?62;c${ESC}[12;40R${ESC}[9999~${ESC}[201~${ESC}[1;2;3A${ESC}[5u`],
    [`${ESC}[1;`],
    [`${ESC}]11;rgb:ffff/ffff/ffff\x07${ESC}P1$r0m${ESC}\\${ESC}_Gi=1;OK${ESC}\\`],
    [`${ESC}[M !"`],
    [`${ESC}[${'1'.repeat(99)}~x`, 'x'],
    [`${ESC}[1\rq`, 'Enter', 'q'],
    [`${ESC}[1${ESC}[A`, 'Up'],
    ['\u202e\u0085\u200b\ufeff'],
  ];
  for (const [bytes, ...expected] of keys)
    test(`${JSON.stringify(bytes).slice(0, 60)} is ${expected.join(' ') || 'nothing'}`, () =>
      assert.deepEqual(made(bytes), expected));

  test('only characters type text', () => {
    const texts = new InputParser().push(Buffer.from(`a${ESC}b\x03${ESC}[A字`), 0);
    assert.deepEqual(
      texts.map((event) => event.type === 'key' && event.text),
      ['a', '', '', '', '字'],
    );
  });

  test('bytes that are not UTF-8 are dropped, and what follows them is not', () => {
    assert.deepEqual(made(Buffer.from([0xff, 0x61, 0xc3, 0x62, 0xe5, 0xad, 0x63, 0x9b, 0xc0, 0xaf, 0xed, 0xa0, 0x80, 0x64])), [
      'a',
      'b',
      'c',
      'd',
    ]);
    assert.deepEqual(made(Buffer.from([0xf4, 0x90, 0x80, 0x80, 0xe0, 0x80, 0xaf])), []);
  });
});

suite('time', () => {
  test('an escape is a key when nothing follows within 50 ms', () => {
    const parser = new InputParser();
    assert.deepEqual(parser.push(Buffer.from(ESC), 1000), []);
    assert.equal(parser.deadline, 1000 + ESCAPE_TIME);
    assert.deepEqual(parser.expire(1000 + ESCAPE_TIME - 1), []);
    assert.deepEqual(parser.expire(1000 + ESCAPE_TIME), [{ type: 'key', key: 'Escape', text: '' }]);
    assert.equal(parser.deadline, undefined);
    assert.deepEqual(parser.push(Buffer.from('[A'), 1100), [
      { type: 'key', key: '[', text: '[' },
      { type: 'key', key: 'A', text: 'A' },
    ]);
  });

  test('a key that comes late is not part of the escape, even if nobody asked in between', () => {
    const parser = new InputParser();
    parser.push(Buffer.from(ESC), 0);
    assert.deepEqual(
      parser.push(Buffer.from('q'), ESCAPE_TIME).map((event) => event.type === 'key' && event.key),
      ['Escape', 'q'],
    );
  });

  test('a sequence in pieces is one as long as none is late', () => {
    const parser = new InputParser();
    const events = [...`${ESC}[1;5A`].flatMap((byte, n) => parser.push(Buffer.from(byte), n * (ESCAPE_TIME - 1)));
    assert.deepEqual(events, [{ type: 'key', key: 'Ctrl-Up', text: '' }]);
  });

  test('a paste whose end is lost is over after two seconds of silence', () => {
    const parser = new InputParser();
    assert.deepEqual(parser.push(Buffer.from(`${ESC}[200~kill`), 0), []);
    assert.deepEqual(parser.push(Buffer.from(' x\ry'), 1500), []);
    assert.equal(parser.deadline, 1500 + PASTE_TIME);
    assert.deepEqual(parser.expire(1500 + PASTE_TIME), [{ type: 'paste', text: 'kill x y', cut: false }]);
    assert.deepEqual(made('q'), ['q']);
    assert.deepEqual(parser.push(Buffer.from('q'), 4000), [{ type: 'key', key: 'q', text: 'q' }]);
  });
});

suite('pastes', () => {
  const paste = (text: string) => made(`${ESC}[200~${text}${ESC}[201~`);

  test('pasted keys are text, on one line and without control characters', () => {
    const text = `x y\r\n${ESC}[A\x03${ESC}]52;c;eA==\x07\t字\u202e${ESC}[201`;
    assert.deepEqual(paste(text), [{ type: 'paste', text: 'x y [A]52;c;eA== 字[201', cut: false }]);
    assert.deepEqual(paste(''), [{ type: 'paste', text: '', cut: false }]);
    assert.deepEqual(paste(`${ESC}${ESC}[200~`), [{ type: 'paste', text: '[200~', cut: false }]);
  });

  test('keys after a paste are keys', () => {
    assert.deepEqual(made(`${ESC}[200~a${ESC}[201~b`), [{ type: 'paste', text: 'a', cut: false }, 'b']);
  });

  test('64 KiB are kept, and no half character', () => {
    assert.deepEqual(paste('a'.repeat(PASTE_LIMIT)), [{ type: 'paste', text: 'a'.repeat(PASTE_LIMIT), cut: false }]);
    assert.deepEqual(paste('a'.repeat(PASTE_LIMIT + 1)), [{ type: 'paste', text: 'a'.repeat(PASTE_LIMIT), cut: true }]);
    assert.deepEqual(paste(`a${'é'.repeat(PASTE_LIMIT)}`), [
      { type: 'paste', text: `a${'é'.repeat(PASTE_LIMIT / 2 - 1)}`, cut: true },
    ]);
  });
});

suite('mouse', () => {
  const plain = { type: 'mouse', shift: false, alt: false, ctrl: false } as const;
  const cases = [
    ['[<0;1;1M', { ...plain, action: 'press', button: 'left', x: 0, y: 0 }],
    ['[<0;10;5m', { ...plain, action: 'release', button: 'left', x: 9, y: 4 }],
    ['[<1;1;1M', { ...plain, action: 'press', button: 'middle', x: 0, y: 0 }],
    ['[<2;300;200M', { ...plain, action: 'press', button: 'right', x: 299, y: 199 }],
    ['[<32;2;2M', { ...plain, action: 'drag', button: 'left', x: 1, y: 1 }],
    ['[<64;2;2M', { ...plain, action: 'wheel up', button: 'none', x: 1, y: 1 }],
    ['[<65;2;2M', { ...plain, action: 'wheel down', button: 'none', x: 1, y: 1 }],
    ['[<20;2;2M', { ...plain, action: 'press', button: 'left', x: 1, y: 1, shift: true, ctrl: true }],
    ['[<73;2;2M', { ...plain, action: 'wheel down', button: 'none', x: 1, y: 1, alt: true }],
  ] as const;
  for (const [bytes, event] of cases) test(bytes, () => assert.deepEqual(made(ESC + bytes), [event]));
  for (const bytes of ['[<0;0;1M', '[<66;1;1M', '[<128;1;1M', '[<;;M', '[<0;1M', '[<0;1;1;1M', '[<0;999999;1M', '[<0;1;1A'])
    test(`${bytes} is nothing`, () => assert.deepEqual(made(ESC + bytes), []));
});

suite('random input', () => {
  const PARTS = [
    ...['a', 'q', '1', ' ', 'é', '字', '😀', '\r', '\t', '\x03', '\x7f'],
    ...['[A', '[1;5D', 'OP', '[[C', '[15~', '[Z', 'x', '[<0;3;4M', '[<65;1;1M', '[I', ']0;t\x07', 'P\x1b\\', '[M abc'].map(
      (rest) => ESC + rest,
    ),
    `${ESC}[200~two\r\nlines ${ESC}[A é${ESC}[201~`,
  ].map((part) => Buffer.from(part));

  test('a valid sequence gives the same in any pieces', () => {
    const random = new Random(seedFromEnvironment(20262));
    for (let n = 0; n < CASES / 4; n++) {
      const bytes = Buffer.concat(Array.from({ length: 1 + random.below(6) }, () => random.pick(PARTS)));
      const whole = new InputParser();
      const pieces = new InputParser();
      const expected = whole.push(bytes, 0);
      const actual: TerminalInput[] = [];
      for (let at = 0; at < bytes.length; ) {
        const end = at + 1 + random.below(random.pick([1, 3, 20]));
        actual.push(...pieces.push(bytes.subarray(at, end), 0));
        at = end;
      }
      const where = `SEED=${random.seed}, case ${n}: ${JSON.stringify(bytes.toString())}`;
      assert.deepEqual(actual, expected, where);
      assert.deepEqual([whole.deadline, pieces.deadline], [undefined, undefined], where);
    }
  });

  test('any bytes are taken; they end in time and leave nothing behind', () => {
    const random = new Random(seedFromEnvironment(20263));
    const alphabet = [...Buffer.from('\x1b\x1b\x1b[[O<;M~200120AmP]\\_\x07\x08\r'), 0x80, 0xc3, 0xe5, 0xf0, 0xff];
    const parser = new InputParser();
    let now = 0;
    for (let n = 0; n < CASES; n++) {
      const bytes = Uint8Array.from({ length: random.below(24) }, () =>
        random.chance(0.7) ? random.pick(alphabet) : random.below(256),
      );
      const events = parser.push(bytes, now);
      now += random.below(ESCAPE_TIME);
      if (random.chance(0.5)) {
        now += PASTE_TIME;
        events.push(...parser.expire(now));
        const where = `SEED=${random.seed}, case ${n}`;
        assert.equal(parser.deadline, undefined, where);
        assert.deepEqual(parser.push(Buffer.from('k'), now), [{ type: 'key', key: 'k', text: 'k' }], where);
      }
      for (const event of events) {
        if (event.type === 'key') assert.match(event.key, /^(?:Ctrl-)?(?:Alt-)?(?:Shift-)?(?:[A-Z][A-Za-z]+|F\d+|\P{Cc})$/u);
        else if (event.type === 'mouse') assert.ok(event.x >= 0 && event.y >= 0);
        else assert.doesNotMatch(event.text, /\p{Cc}/u);
      }
    }
  });
});
