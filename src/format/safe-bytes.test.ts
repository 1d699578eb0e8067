import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { safeText } from '../safe-text.js';
import { ByteWriter } from './byte-writer.js';
import { JSON_STRING, LINE, type Place, safeBytes, WORD, writeSafe, XML } from './safe-bytes.js';

const PLACES = { LINE, WORD, XML, JSON_STRING };

/** What `writeSafe` appends; it must fit into the room that it may use. */
function safe(bytes: Uint8Array, place: Place): string {
  const out = new ByteWriter(() => {});
  const around = Uint8Array.of(0xc3, ...bytes, 0xbc); // neither belongs to it
  writeSafe(out, around, 1, bytes.length, place);
  assert.ok(out.length <= Math.max(2, 6 * bytes.length), `${out.length} bytes for ${bytes.length}`);
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(out.bytes.subarray(0, out.length));
}

test('each place has its own form', () => {
  for (const [text, line, word, xml, json] of [
    ['ftp', 'ftp', 'ftp', 'ftp', 'ftp'],
    ['', '', '""', '', ''],
    ['tmux: größe', 'tmux: größe', 'tmux:\\x20größe', 'tmux: größe', 'tmux: größe'],
    ['x\n-F\n#', 'x\\x0a-F\\x0a#', 'x\\x0a-F\\x0a#', 'x&#xa;-F&#xa;#', 'x\\u000a-F\\u000a#'],
    ['\x01\x1b', '\\x01\\x1b', '\\x01\\x1b', '\\x01\\x1b', '\\u0001\\u001b'],
    ['"\\<&>\'', '"\\<&>\'', "\\x22\\x5c<&>'", "&quot;\\&lt;&amp;&gt;'", '\\"\\\\<&>\''],
    ['\x7f\x85\u202e', '\\x7f\\u{85}\\u{202e}', '\\x7f\\u{85}\\u{202e}', '&#x7f;&#x85;&#x202e;', '\\u007f\\u0085\\u202e'],
    ['\ufffe👩‍👧', '\\u{fffe}👩‍👧', '\\u{fffe}👩‍👧', '\\u{fffe}👩‍👧', '\\ufffe👩‍👧'],
  ] as const) {
    const bytes = new TextEncoder().encode(text);
    assert.deepEqual(
      Object.values(PLACES).map((place) => safe(bytes, place)),
      [line, word, xml, json],
    );
  }
});

test('what is not UTF-8 is shown as bytes, in JSON as U+FFFD', () => {
  for (const [bytes, line, json] of [
    [[0x9b, 0x32, 0x4a], '\\x9b2J', '\ufffd2J'],
    [[0x61, 0xe2, 0x80], 'a\\xe2\\x80', 'a\ufffd'],
    [[0xed, 0xa0, 0x80], '\\xed\\xa0\\x80', '\ufffd\ufffd\ufffd'],
    [[0xc0, 0x8a, 0xff], '\\xc0\\x8a\\xff', '\ufffd\ufffd\ufffd'],
  ] as const) {
    const given = Uint8Array.from(bytes);
    for (const place of [LINE, WORD, XML]) assert.equal(safe(given, place), line);
    assert.equal(safe(given, JSON_STRING), json);
  }
});

test('in a line, bytes and strings have one form', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(safe(new TextEncoder().encode(text), LINE), safeText(text));
    }),
  );
});

test('in JSON, any bytes are parsed as TextDecoder has them', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      assert.equal(JSON.parse(`"${safe(bytes, JSON_STRING)}"`), new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
    }),
  );
});

test('harmless text is copied in one go', () => {
  for (const place of Object.values(PLACES)) {
    const out = new ByteWriter(() => {});
    const copies: number[] = [];
    out.copyWhile = (bytes, at, end, plain) => {
      copies.push(ByteWriter.prototype.copyWhile.call(out, bytes, at, end, plain) - at);
      return at + copies.at(-1)!;
    };
    out.byte = out.raw = () => assert.fail('the long way was taken');
    const name = new TextEncoder().encode('kworker/0:1H-ct_gc');
    writeSafe(out, name, 0, name.length, place);
    assert.deepEqual(copies, [name.length]);
  }
});

test('a text stands between what belongs to it', () => {
  assert.equal(Buffer.from(safeBytes(' netns="', 'a"<ü\n', XML, '">')).toString(), ' netns="a&quot;&lt;ü&#xa;">');
  assert.equal(Buffer.from(safeBytes('netns=', 'x y\\', WORD, ' ')).toString(), 'netns=x\\x20y\\x5c ');
});
