import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFlowView } from '../ctnetlink/view.js';
import { MessageWriter } from '../wire/message.js';
import { BoundaryDuplicates } from './boundary-duplicates.js';

/** A datagram of entries: each a tuple nest with two bytes of its own, and an id. */
function datagram(entries: readonly { tuple: number; id: number }[]) {
  const message = new MessageWriter();
  const starts: number[] = [];
  for (const { tuple, id } of entries) {
    starts.push(message.length);
    message.begin(0x100, 2, 1, 2);
    const nest = message.nest(1);
    message.be32(3, tuple); // a zone, for the decoder; here only bytes that differ
    message.endNest(nest);
    message.be32(12, id);
    message.end();
  }
  return { bytes: message.bytes, starts: [...starts, message.length] };
}

function keptOf(datagrams: readonly (readonly { tuple: number; id: number }[])[]): number[] {
  const repeats = new BoundaryDuplicates();
  const view = createFlowView();
  const kept: number[] = [];
  for (const entries of datagrams) {
    const { bytes, starts } = datagram(entries);
    entries.forEach((entry, i) => {
      view.decode(bytes, starts[i]!, starts[i + 1]!);
      if (!repeats.isRepeat(view, starts[i]!)) kept.push(entry.id);
    });
    repeats.endDatagram(bytes);
    bytes.fill(0xaa); // the receive buffer is used again
  }
  return kept;
}

const entry = (n: number) => ({ tuple: n, id: 1000 + n });

test('repeats at the start of a datagram are dropped', () => {
  assert.deepEqual(keptOf([[1, 2, 3].map(entry), [2, 3, 4].map(entry), [5].map(entry)]), [1001, 1002, 1003, 1004, 1005]);
});

test('the same id with another tuple is another entry', () => {
  assert.deepEqual(keptOf([[{ tuple: 1, id: 7 }], [{ tuple: 2, id: 7 }]]), [7, 7]);
});

test('only the start of the next datagram is looked at', () => {
  const many = Array.from({ length: 40 }, (_, i) => entry(100 + i));
  assert.deepEqual(keptOf([[entry(1)], [...many, entry(1)]]).at(-1), 1001);
});

test('remembers the last entries of a long datagram', () => {
  const many = Array.from({ length: 50 }, (_, i) => entry(i));
  assert.equal(keptOf([many, [entry(49), entry(48), entry(60)]]).length, 51);
});
