// What the decode pass finds in messages captured from a kernel or built by hand, and what it does with parts of them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { View } from '../../src/ctnetlink/view.js';
import { DecodeError } from '../../src/errors.js';
import { walkDatagram } from '../../src/wire/answers.js';
import { KINDS, readFixtures, snapshot, type ViewName } from './fixture.js';

const fixtures = readFixtures();

/** Decodes; @returns the error's message and offset in place of throwing, when it is the error that is allowed. */
function tryDecode(view: View, bytes: Uint8Array, at: number, end: number): { message: string; offset: number } | undefined {
  try {
    view.decode(bytes, at, end);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof DecodeError, `not a DecodeError: ${error}`);
    return { message: error.message, offset: error.offset };
  }
}

test('there are fixtures of every kind of message', () => {
  const seen = new Set<ViewName>(fixtures.map((fixture) => fixture.expected.view));
  assert.deepEqual([...seen].sort(), Object.keys(KINDS).sort());
});

test('every field of a flow and of an expectation has a value in some fixture', () => {
  // A tuple's fields are the same rows on every side: one side that has a value is enough.
  const field = (view: ViewName, slot: string) => (slot.includes('.') ? slot.replace(/^.*\./, 'tuple.') : `${view}.${slot}`);
  const found = new Set(
    fixtures.flatMap(({ expected: { view, values } }) => Object.keys(values).map((slot) => field(view, slot))),
  );
  for (const view of ['flow', 'expectation'] as const)
    for (const { name } of KINDS[view].slots) assert.ok(found.has(field(view, name)), `${view}: no fixture has ${name}`);
});

for (const { name, bytes, expected } of fixtures) {
  describe(name, () => {
    const kind = KINDS[expected.view];

    test('decodes to the expected values', () => {
      const view = kind.create();
      view.decode(bytes, 0, bytes.length);
      assert.deepEqual(snapshot(expected.view, view), expected);
    });

    test('decodes to the same values in the middle of a larger buffer, after another message', () => {
      const view = kind.create();
      const around = new Uint8Array(bytes.length + 64).fill(0xff);
      around.set(bytes, 32);
      view.decode(fixtures[0]!.bytes, 0, fixtures[0]!.bytes.length);
      view.decode(around, 32, 32 + bytes.length);
      assert.deepEqual(snapshot(expected.view, view), expected);
    });

    test('cut at any length gives a result or a DecodeError, the same after the whole message and with bytes behind', () => {
      const seasoned = kind.create();
      for (let length = 0; length < bytes.length; length++) {
        const view = kind.create();
        const alone = tryDecode(view, bytes.slice(0, length), 0, length);
        const found = alone ? undefined : snapshot(expected.view, view);
        seasoned.decode(bytes, 0, bytes.length);
        const followed = tryDecode(seasoned, bytes, 0, length);
        assert.deepEqual(followed, alone, `cut at ${length}`);
        if (!found) continue;
        assert.deepEqual(snapshot(expected.view, seasoned), found, `cut at ${length}`);
        if (name === 'repeated-attributes') continue; // its first values are not the ones that count in the end
        for (const [slot, value] of Object.entries(found.values))
          assert.deepEqual(value, expected.values[slot], `cut at ${length}`);
      }
    });

    test('an end behind the buffer is refused', () => {
      const view = kind.create();
      assert.throws(() => view.decode(bytes, 0, bytes.length + 1), DecodeError);
    });

    test('a datagram cut at any length is visited or gives a DecodeError', () => {
      const request = { name: 'TEST', sequence: new DataView(bytes.buffer).getUint32(8, true), bytes, length: bytes.length };
      for (let length = 0; length < bytes.length; length++) {
        let visits = 0;
        const walk = () => walkDatagram(bytes, 0, length, request, () => visits++);
        if (length < 16) assert.equal(walk(), false);
        else assert.throws(walk, DecodeError);
        assert.equal(visits, 0);
      }
      let visits = 0;
      walkDatagram(bytes, 0, bytes.length, request, (_, at, end) => {
        visits++;
        assert.deepEqual([at, end], [0, bytes.length]);
      });
      assert.equal(visits, 1);
    });
  });
}

describe('a broken attribute is refused, with its place', () => {
  const HEADER = '00000000 00010000 00000000 00000000 02000000';
  const cases: readonly (readonly [what: string, attributes: string, offset: number])[] = [
    ['length 0', '00000300 00000008', 20],
    ['length 3, shorter than its own header', '03000300 00000008', 20],
    ['length beyond the message', '0c000300 00000008', 20],
    ['length beyond its nest', '0c000180 0c000180 08000100 c0000201', 24],
    ['nest beyond the message', '10000180 0c000180 08000100', 20],
    ['an unknown attribute beyond the message', '08001f00 000000', 20],
    ['an address of 3 bytes', '10000180 0c000180 07000100 c0000200', 28],
    ['an IPv6 address of 15 bytes', '1c000180 18000180 13000300 20010db8 00000000 00000000 00000000', 28],
    ['a port of 1 byte', '10000180 0c000280 05000200 9c000000', 28],
    ['an empty protocol number', '0c000180 08000280 04000100', 28],
    ['a timeout of 3 bytes', '07000700 00012c00', 20],
    ['an empty timeout', '04000700', 20],
    ['a status of 2 bytes', '06000300 00080000', 20],
    ['a counter of 4 bytes', '0c000980 08000100 00000001', 24],
    ['TCP flags of 1 byte', '10000480 0c000180 05000400 23000000', 28],
  ];
  for (const [what, attributes, offset] of cases)
    test(what, () => {
      const bytes = Uint8Array.from((HEADER + attributes).replace(/ /g, '').match(/../g) ?? [], (pair) =>
        Number.parseInt(pair, 16),
      );
      const view = KINDS.flow.create();
      assert.throws(
        () => view.decode(bytes, 0, bytes.length),
        (error) => error instanceof DecodeError && error.offset === offset,
      );
    });
});
