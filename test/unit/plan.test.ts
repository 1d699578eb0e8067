import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ORIGINAL, S, T } from '../../src/ctnetlink/fields.js';
import {
  CTA_ID,
  CTA_MARK,
  CTA_PROTO_NUM,
  CTA_STATUS,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
} from '../../src/ctnetlink/uapi/nfnetlink-conntrack.js';
import { createFlowView, type View } from '../../src/ctnetlink/view.js';
import { ByteWriter, eights } from '../../src/format/byte-writer.js';
import { WallClock } from '../../src/format/format-options.js';
import { combinations, type Describe, writePlanned } from '../../src/format/plan.js';
import { MessageWriter } from '../../src/wire/message.js';
import { PLAIN } from '../support/format-options.js';

/** A message with a protocol number, a status and a mark. */
function message(protonum: number, status: number, mark: number, more = false): Uint8Array {
  const writer = new MessageWriter();
  writer.begin(0x100, 0, 1, 2);
  const tuple = writer.nest(CTA_TUPLE_ORIG);
  const protocol = writer.nest(CTA_TUPLE_PROTO);
  writer.u8(CTA_PROTO_NUM, protonum);
  writer.endNest(protocol);
  writer.endNest(tuple);
  writer.be32(CTA_STATUS, status);
  writer.be32(CTA_MARK, mark);
  if (more) writer.be32(CTA_ID, 7);
  writer.end();
  return writer.bytes.slice(0, writer.length);
}

/** What `describe` makes of each message, one after the other with one view. */
function written(describe: Describe, messages: readonly Uint8Array[], options = PLAIN): string[] {
  const view = createFlowView();
  const clock = new WallClock();
  return messages.map((bytes) => {
    view.decode(bytes, 0, bytes.length);
    return collected((out) => writePlanned(out, view, options, clock, describe));
  });
}

/** What `write` appends. */
function collected(write: (out: ByteWriter) => void): string {
  let text = '';
  const out = new ByteWriter((part, length) => {
    text += Buffer.from(part.subarray(0, length)).toString('latin1');
  });
  out.reserve(1000);
  write(out);
  out.flush();
  return text;
}

test('texts of any length and values of any size, again and again', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme-ascii', maxLength: 20 }), { minLength: 3, maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(0xffffffff), fc.nat(0xffffffff)), { minLength: 1, maxLength: 4 }),
      ([before, between, after], values) => {
        const lines = written(
          (plan) => plan.u32(before!, S.status, between).u32('', S.mark).text(after!),
          values.map(([status, mark]) => message(6, status, mark)),
        );
        assert.deepEqual(
          lines,
          values.map(([status, mark]) => `${before}${status}${between}${mark}${after}`),
        );
      },
    ),
  );
});

test('messages of one layout share a plan only if their protocols do', () => {
  let described = 0;
  const describe: Describe = (plan, view: View) => {
    described++;
    plan.text(`${view.u8(ORIGINAL + T.protonum)} `).u32('', S.mark);
  };
  assert.deepEqual(written(describe, [message(6, 0, 1), message(17, 0, 2), message(6, 0, 3), message(17, 0, 4)]), [
    '6 1',
    '17 2',
    '6 3',
    '17 4',
  ]);
  assert.equal(described, 2);
  // All protocols in turn, as a sender of packets may have it.
  described = 0;
  const many = Array.from({ length: 1024 }, (_, n) => n % 256);
  assert.deepEqual(
    written(
      describe,
      many.map((protonum, n) => message(protonum, 0, n)),
    ),
    many.map((protonum, n) => `${protonum} ${n}`),
  );
  assert.equal(described, 256);
});

test('more kinds than plans are kept are described again', () => {
  const describe: Describe = (plan, view: View) => plan.text(`${view.family} ${view.u8(ORIGINAL + T.protonum)} `).u32('', S.mark);
  const many = Array.from({ length: 600 }, (_, n) => [n % 200, n % 3] as const);
  const messages = many.map(([family, protonum], n) => {
    const bytes = message(16 * protonum, 0, n);
    bytes[16] = family;
    return bytes;
  });
  assert.deepEqual(
    written(describe, messages),
    many.map(([family, protonum], n) => `${family} ${16 * protonum} ${n}`),
  );
});

test('another format and other options have a plan of their own', () => {
  const view = createFlowView();
  const bytes = message(6, 5, 9);
  view.decode(bytes, 0, bytes.length);
  const clock = new WallClock();
  const one: Describe = (plan, _view, options) => plan.u32(options.id ? 'id ' : 'no ', S.mark, ';');
  const two: Describe = (plan) => plan.u32('two ', S.status, ';');
  const text = collected((out) => {
    for (const [describe, options] of [
      [one, PLAIN],
      [two, PLAIN],
      [one, { ...PLAIN, id: true }],
      [one, PLAIN],
    ] as const)
      writePlanned(out, view, options, clock, describe);
  });
  assert.equal(text, 'no 9;two 5;id 9;no 9;');
});

test('what a message has not is 0, or nothing', () => {
  const describe: Describe = (plan) =>
    plan
      .u32('id=', S.id, ' ')
      .choose32(S.id, [[-1, 0, 'none ']], 'some ')
      .choose32(S.timeout, [[1, 1, 'odd ']])
      .address('src=', ORIGINAL + T.v4Src, ORIGINAL + T.v6Src, '.');
  assert.deepEqual(written(describe, [message(6, 0, 0), message(6, 0, 0, true)]), ['id=0 none src=.', 'id=7 some src=.']);
});

test('choices: the first that is true', () => {
  const describe: Describe = (plan) =>
    plan
      .choose32(S.status, [
        [4, 4, 'a long word for four'],
        [6, 2, 'two'],
      ])
      .text('|')
      .choose32(S.mark, [[0x80000000 | 0, 0x80000000 | 0, 'top']], 'low');
  const lines = written(describe, [message(6, 4, 0), message(6, 6, 0x80000000), message(6, 2, 1), message(6, 1, 2)]);
  assert.deepEqual(lines, ['a long word for four|low', 'a long word for four|top', 'two|low', '|low']);
});

test('combinations: every set of bits, and no other bit', () => {
  const rows = [
    [1, 'A'],
    [4, 'B'],
    [1024, 'C'],
  ] as const;
  const choices = combinations(rows, (names) => names.join());
  for (let value = 0; value < 2048; value++) {
    const expected = rows.filter(([bit]) => value & bit).map(([, name]) => name);
    const found = choices.find(([mask, wanted]) => (value & mask) === wanted);
    assert.equal(found?.[2] ?? '', expected.join());
  }
});

test('text as numbers of eight bytes, which are no NaN', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme-ascii' }), (text) => {
      const words = Float64Array.from(eights(text));
      assert.equal(words.length, Math.ceil(text.length / 8));
      assert.ok(words.every((word) => !Number.isNaN(word)));
      assert.equal(Buffer.from(words.buffer).subarray(0, text.length).toString('latin1'), text);
    }),
  );
});
