// The store of entries against a Map that does the same, and what it must give back: memory.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EntryStore } from '../../src/library/entry-store.js';
import { flowMessage } from './event-messages.js';

interface Known {
  readonly message: Uint8Array;
  readonly id: number;
  mark: number;
}

/** A message about entry `n`; `size` adds bytes behind, as more attributes would. */
function messageOf(n: number, size: number): Uint8Array {
  const bytes = flowMessage('listed', {
    protonum: 17,
    src: [10, 0, n >> 8, n & 255],
    dst: [198, 51, 100, 1],
    sport: 1,
    dport: 2,
    id: n,
  });
  const longer = new Uint8Array(bytes.length + 4 * size);
  longer.set(bytes);
  longer.fill(n & 255, bytes.length);
  return longer;
}

const name = (n: number, key: number) => `${n} ${key}`;

function check(store: EntryStore, model: ReadonlyMap<string, Known>, used: Iterable<readonly [n: number, key: number]>): void {
  assert.equal(store.size, model.size);
  const records = new Set(store.records());
  assert.equal(records.size, model.size);
  for (const [n, key] of used) {
    const record = store.find(messageOf(n, 0), 0, key);
    const known = model.get(name(n, key));
    assert.equal(record !== 0, known !== undefined, `entry ${n} ${key}`);
    if (!known) continue;
    assert.ok(records.has(record));
    assert.equal(store.mark(record), known.mark);
    assert.equal(store.id(record), known.id);
    assert.equal(Buffer.compare(store.page(record).subarray(store.start(record), store.end(record)), known.message), 0);
  }
}

test('does what a Map does', () => {
  const number = fc.nat({ max: 60 });
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        what: fc.constant('put' as const),
        n: number,
        key: fc.nat({ max: 2 }),
        size: fc.nat({ max: 60 }),
        value: fc.nat(),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        what: fc.constant('remove' as const),
        n: number,
        key: fc.nat({ max: 2 }),
        size: fc.constant(0),
        value: fc.constant(0),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        what: fc.constant('mark' as const),
        n: number,
        key: fc.nat({ max: 2 }),
        size: fc.constant(0),
        value: fc.nat({ max: 0xffffffff }),
      }),
    },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const store = new EntryStore();
      const model = new Map<string, Known>();
      for (const { what, n, key, size, value } of steps) {
        const message = messageOf(n, size);
        if (what === 'put') {
          // Anywhere in a buffer that has more before and behind.
          const buffer = new Uint8Array(message.length + 16).fill(0xee);
          buffer.set(message, 8);
          const record = store.put(buffer, 8, 8 + message.length, key, value);
          assert.equal(store.mark(record), 0);
          model.set(name(n, key), { message, id: value, mark: 0 });
        } else {
          const record = store.find(message, 0, key);
          if (record === 0) continue;
          if (what === 'remove') {
            store.remove(record);
            model.delete(name(n, key));
          } else {
            store.setMark(record, value);
            model.get(name(n, key))!.mark = value;
          }
        }
      }
      check(
        store,
        model,
        steps.map(({ n, key }) => [n, key] as const),
      );
    }),
    { numRuns: 100 },
  );
});

test('grows, finds everything, and takes no more memory for what comes and goes', () => {
  const store = new EntryStore();
  const model = new Map<string, Known>();
  const put = (n: number, size: number) => {
    const message = messageOf(n, size);
    store.put(message, 0, message.length, 0, n);
    model.set(name(n, 0), { message, id: n, mark: 0 });
  };
  for (let n = 0; n < 5000; n++) put(n, n % 40);
  const all = Array.from({ length: 5000 }, (_, n) => [n, 0] as const);
  check(store, model, all);
  const { bytes } = store;
  for (let round = 0; round < 3; round++) {
    for (let n = round; n < 5000; n += 2) {
      store.remove(store.find(messageOf(n, 0), 0, 0));
      model.delete(name(n, 0));
    }
    check(
      store,
      model,
      all.filter((_, n) => n % 7 === 0),
    );
    for (let n = round; n < 5000; n += 2) put(n, n % 40);
  }
  check(store, model, all);
  assert.equal(store.bytes, bytes);
  assert.ok(bytes < 5000 * 500, `${bytes} bytes`);
});

test('entries of one tuple and two zones are two, also where their hashes meet', () => {
  const store = new EntryStore();
  const message = messageOf(1, 0);
  // More keys than the index has places: every one of them meets others.
  const records = Array.from({ length: 500 }, (_, key) => store.put(message, 0, message.length, key, 1000 + key));
  assert.equal(new Set(records).size, 500);
  for (let key = 0; key < 500; key += 3) store.remove(store.find(message, 0, key));
  for (let key = 0; key < 500; key++) {
    const record = store.find(message, 0, key);
    assert.equal(record === 0, key % 3 === 0);
    if (record !== 0) assert.equal(store.id(record), 1000 + key);
  }
});
