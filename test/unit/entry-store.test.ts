// The store of entries against an equivalent Map, its release of memory, and tuples chosen to make it slow.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  CTA_COUNTERS_BYTES,
  CTA_COUNTERS_ORIG,
  CTA_COUNTERS_PACKETS,
  CTA_COUNTERS_REPLY,
  CTA_HELP,
  CTA_HELP_NAME,
  CTA_MARK,
  CTA_TIMESTAMP,
  CTA_TIMESTAMP_START,
  CTA_ZONE,
} from '../../src/ctnetlink/uapi/nfnetlink-conntrack.js';
import { createFlowView } from '../../src/ctnetlink/view.js';
import { LONGEST_SEARCH } from '../../src/library/events/entry-index.js';
import { EntryStore } from '../../src/library/events/entry-store.js';
import { HashKey } from '../../src/library/events/hash-key.js';
import { machineWords } from '../../src/wire/bytes.js';
import { MessageWriter } from '../../src/wire/message.js';
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

const nest = (type: number, put: (out: MessageWriter) => void) => (out: MessageWriter) => {
  const position = out.nest(type);
  put(out);
  out.endNest(position);
};

/** Attributes, and whether they are kept apart. */
const ATTRIBUTES: readonly (readonly [put: (out: MessageWriter) => void, apart: boolean])[] = [
  [(out) => out.be32(CTA_MARK, 5), false],
  [(out) => out.be16(CTA_ZONE, 6), false],
  [nest(CTA_HELP, (out) => out.string(CTA_HELP_NAME, 'ftp')), false],
  [nest(CTA_COUNTERS_ORIG, (out) => out.amount64(CTA_COUNTERS_BYTES, 2 ** 33 + 1)), true],
  [nest(CTA_COUNTERS_REPLY, (out) => out.amount64(CTA_COUNTERS_PACKETS, 3)), true],
  [nest(CTA_TIMESTAMP, (out) => out.be64(CTA_TIMESTAMP_START, 1n)), true],
];

test('counters and times are not kept if the owner does not want them, and all else is, in its order', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.constantFrom(...ATTRIBUTES), { maxLength: 9 }), { maxLength: 20 }), (messages) => {
      const store = new EntryStore();
      const view = createFlowView();
      const made = (attributes: (typeof messages)[number]) => {
        const out = new MessageWriter();
        out.append(messageOf(7, 0));
        for (const [put] of attributes) put(out);
        out.end();
        return out.bytes.slice(0, out.length);
      };
      for (const attributes of messages) {
        const message = made(attributes);
        view.decode(message, 0, message.length);
        const record = store.put(message, 0, message.length, 0, 1, store.find(message, 0, 0), view.apart);
        const kept = store.page(record).slice(store.start(record), store.end(record));
        assert.deepEqual(kept, made(attributes.filter(([, apart]) => !apart)));
        assert.equal(store.find(message, 0, 0), record);
      }
    }),
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

/** Messages of UDP flows from one host to another, which differ in their ports. */
class ChosenTuples {
  readonly message = flowMessage('listed', {
    protonum: 17,
    src: [10, 0, 0, 1],
    dst: [198, 51, 100, 1],
    sport: 1,
    dport: 2,
    id: 1,
  });
  readonly #words = machineWords(this.message);

  set(sport: number, dport: number): Uint8Array {
    this.message.set([sport >> 8, sport], 60);
    this.message.set([dport >> 8, dport], 68);
    return this.message;
  }

  /** The first attribute's words, from its header to the destination port. */
  hashUnder(key: HashKey): number {
    return key.hash(0, this.#words, 5, 13);
  }

  /** FNV-1a, word by word, with the upper half folded into the lower. */
  fnv(): number {
    let hash = 0x811c9dc5;
    for (let word = 5; word < 18; word++) hash = Math.imul(hash ^ this.#words[word]!, 0x01000193);
    return hash ^ (hash >>> 15);
  }
}

/** So many pairs of ports whose hash puts them into `places` neighbouring ones of a table of `capacity`. */
function chosenFor(hash: (tuples: ChosenTuples) => number, count: number, capacity: number, places: number): [number, number][] {
  const tuples = new ChosenTuples();
  const chosen: [number, number][] = [];
  for (let sport = 1024; chosen.length < count; sport++)
    for (let dport = 1; dport < 65_536 && chosen.length < count; dport++) {
      tuples.set(sport, dport);
      if ((hash(tuples) & (capacity - 1)) < places) chosen.push([sport, dport]);
    }
  return chosen;
}

const NO_KEY = new HashKey(0, 0);
const ALL_ONES = new HashKey(-1, -1);
const COUNT = 2000;
const CAPACITY = 4096;
const PLACES = 8;

/** Sets of tuples that a sender of packets may choose. */
const CHOSEN: Readonly<Record<string, () => [number, number][]>> = {
  'chosen for FNV': () => chosenFor((tuples) => tuples.fnv(), COUNT, CAPACITY, PLACES),
  'chosen for this hash with a key of zeros': () => chosenFor((tuples) => tuples.hashUnder(NO_KEY), COUNT, CAPACITY, PLACES),
  'chosen for this hash with a key of ones': () => chosenFor((tuples) => tuples.hashUnder(ALL_ONES), COUNT, CAPACITY, PLACES),
  'ports one after another': () => Array.from({ length: COUNT }, (_, n) => [1024 + n, 53]),
  'ports that differ in one bit or two': () =>
    Array.from({ length: 16 * 16 * 16 }, (_, n): [number, number] => [
      (1 << (n & 15)) ^ (1 << ((n >> 4) & 15)),
      1 << ((n >> 8) & 15),
    ]).filter(([a, b], n, all) => all.findIndex(([c, d]) => a === c && b === d) === n),
  "ports that are each other's, turned round": () =>
    Array.from({ length: COUNT }, (_, n) => (n & 1 ? [1 + n, n] : [n + 1, n + 2])),
};

function put(store: EntryStore, pairs: readonly (readonly [number, number])[]): void {
  const tuples = new ChosenTuples();
  for (const [sport, dport] of pairs) store.put(tuples.set(sport, dport), 0, tuples.message.length, 0, 1);
}

/** Places looked at to find every entry once, for each entry. */
function meanSearch(store: EntryStore): number {
  return store.searches().reduce((all, steps) => all + steps, 0) / store.size;
}

suite('tuples that somebody chose', () => {
  for (const [name, choose] of Object.entries(CHOSEN)) {
    test(`${name} are found as fast as any`, () => {
      const pairs = choose();
      assert.ok(pairs.length > 1000);
      for (const newKey of [undefined, () => new HashKey(1, 2), () => new HashKey(0x12345678, 0)]) {
        const store = new EntryStore(newKey);
        put(store, pairs);
        assert.equal(store.size, pairs.length);
        assert.ok(Math.max(...store.searches()) <= LONGEST_SEARCH);
        assert.ok(meanSearch(store) < 2, `${meanSearch(store)} places an entry`);
      }
    });
  }

  test('tuples whose differences cancel in multiplicative hashes whatever their seed, neither', () => {
    // The uppermost bit of two words, or of four, six or eight: a product with an odd number keeps it, and the next word takes it away.
    const store = new EntryStore();
    for (let n = 0; n < 4096; n++) {
      const address = new Array<number>(32).fill(0);
      let parity = 0;
      for (let word = 0; word < 7; word++) {
        if (((n >> word) & 1) === 0) continue;
        parity ^= 1;
        address[4 * word + 3] = 0x80;
      }
      if (parity) address[31] = 0x80;
      const message = flowMessage('listed', {
        protonum: 17,
        src: address.slice(0, 16),
        dst: address.slice(16),
        sport: n >> 7,
        dport: 53,
        id: n,
      });
      store.put(message, 0, message.length, 0, n);
    }
    assert.equal(store.size, 4096);
    assert.ok(meanSearch(store) < 2, `${meanSearch(store)} places an entry`);
  });

  test('whoever knows the key gets a new one to know, and little else', () => {
    const pairs = CHOSEN['chosen for this hash with a key of zeros']!();
    const keys: HashKey[] = [];
    const store = new EntryStore(() => {
      keys.push(keys.length === 0 ? NO_KEY : new HashKey(keys.length, 3));
      return keys.at(-1)!;
    });
    put(store, pairs.slice(0, LONGEST_SEARCH - 10));
    assert.equal(keys.length, 1);
    assert.ok(meanSearch(store) > LONGEST_SEARCH / 3, 'these are chosen well');
    put(store, pairs);
    assert.equal(keys.length, 2);
    assert.equal(store.size, pairs.length);
    assert.ok(meanSearch(store) < 2, `${meanSearch(store)} places an entry`);
    const tuples = new ChosenTuples();
    for (const [sport, dport] of pairs) assert.ok(store.find(tuples.set(sport, dport), 0, 0) !== 0);
  });
});
