import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClosedError, KernelError } from './errors.js';
import { isUnsafe, safeJson, safeText } from './safe-text.js';

/** As Unicode has them. */
const CONTROLS = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Cs}]/u;
/** Shown as nothing, or never shown. */
const INVISIBLE = /[\u{200b}\u{2060}-\u{206f}\u{feff}\u{fffe}\u{ffff}]/u;

test('unsafe is what Unicode calls a control, of the direction too, or the end of a line; and what nobody sees', () => {
  for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
    const character = String.fromCodePoint(codePoint);
    assert.equal(isUnsafe(codePoint), CONTROLS.test(character) || INVISIBLE.test(character), codePoint.toString(16));
  }
});

test('unsafe characters become escapes, all others stay', () => {
  assert.equal(safeText('x\n-F\n#'), 'x\\x0a-F\\x0a#');
  assert.equal(safeText('\x1b[2J\x7f'), '\\x1b[2J\\x7f');
  assert.equal(safeText('\x85\u202etxt.\u2066'), '\\u{85}\\u{202e}txt.\\u{2066}');
  assert.equal(safeText('\ud800 and \udfff\ud800'), '\\u{d800} and \\u{dfff}\\u{d800}');
  for (const harmless of ['', 'tmux: server', 'C:\\x', 'größe', 'می‌خواهم', '👩‍👩‍👧', '日本語', 'a\u{e000}'])
    assert.equal(safeText(harmless), harmless);
});

const anyText = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', maxLength: 2 }),
    fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
  ),
});

test('safe text has nothing unsafe in it, and is its own safe text', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const safe = safeText(text);
      assert.doesNotMatch(safe, CONTROLS);
      assert.equal(safeText(safe), safe);
    }),
  );
});

test('safe JSON has nothing unsafe in it, and is parsed as what it was made of', () => {
  assert.equal(safeJson({ a: 'x\n\x7f\x9b\u202e"\\' }), '{"a":"x\\n\\u007f\\u009b\\u202e\\"\\\\"}');
  fc.assert(
    fc.property(anyText, anyText, (name, text) => {
      const value = [text, { [name]: text }];
      const json = safeJson(value);
      assert.doesNotMatch(json, CONTROLS);
      assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('messages and hints of errors are safe, their other members as they are', () => {
  const detail = 'no\x1b[31m\nroom';
  const error = new KernelError('CT_NEW', 12, 'ENOMEM', 'out of memory', { detail, hint: 'free\nsome' });
  assert.equal(error.message, 'CT_NEW: out of memory (no\\x1b[31m\\x0aroom)');
  assert.equal(error.hint, 'free\\x0asome');
  assert.equal(error.detail, detail);
  assert.equal(error.withHint('a\u2028b').hint, 'a\\u{2028}b');
  assert.equal(new ClosedError('it is closed').message, 'it is closed');
});
