// The index of entries against a Map, while it grows and changes its key; how long its searches get, and how many entries move at once.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { EntryIndex, LONGEST_SEARCH } from '../../src/library/events/entry-index.js';
import { HashKey } from '../../src/library/events/hash-key.js';

const NO_WORDS = new Int32Array(0);

/** Puts everything in a few places: a key that somebody knows. */
class KnownKey extends HashKey {
  override hash(number: number): number {
    return number & 3;
  }
}

/** Records whose names are numbers. */
class Numbered {
  readonly index: EntryIndex;
  /** Records that were put into a place since this was reset. */
  placed = 0;
  readonly #names: number[] = [];
  readonly #hashes: number[] = [];

  constructor(newKey?: () => HashKey) {
    const owner = {
      isNamed: (record: number, number: number) => this.#names[record] === number,
      hashUnder: (key: HashKey, record: number) => key.hash(this.#names[record]!, NO_WORDS, 0, 0),
      hash: (record: number) => this.#hashes[record]!,
      setHash: (record: number, hash: number) => {
        this.placed++;
        this.#hashes[record] = hash;
      },
    };
    this.index = new EntryIndex(owner, newKey);
  }

  find(name: number): number {
    return this.index.find(name, NO_WORDS, 0, 0);
  }

  add(record: number, name: number): void {
    this.#names[record] = name;
    this.index.add(record);
  }
}

/** First a key that is known, then good ones. */
function knownAtFirst(): () => HashKey {
  let keys = 0;
  return () => (keys++ === 0 ? new KnownKey(0, 0) : new HashKey(keys, 7));
}

suite('EntryIndex', () => {
  test('does what a Map does, while it grows and takes new keys', () => {
    let moved = 0;
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 5000 }), { minLength: 1000, maxLength: 6000 }), fc.boolean(), (names, known) => {
        let keys = 0;
        const newKey = () => (keys++ < 3 ? new KnownKey(0, 0) : new HashKey(keys, 1));
        const numbered = new Numbered(known ? newKey : undefined);
        const model = new Map<number, number>();
        for (const [n, name] of names.entries()) {
          const record = numbered.find(name);
          assert.equal(record, model.get(name) ?? 0, `step ${n}, name ${name}`);
          // Two of three are added, one of three is removed, if it is there.
          if (record !== 0 && n % 3 === 0) {
            numbered.index.remove(record);
            model.delete(name);
          } else if (record === 0) {
            numbered.add(n + 1, name);
            model.set(name, n + 1);
          }
        }
        for (let name = 0; name <= 5000; name += 7) assert.equal(numbered.find(name), model.get(name) ?? 0);
        assert.equal(numbered.index.size, model.size);
        assert.deepEqual([...numbered.index.records()].sort(), [...model.values()].sort());
        if (keys > 1) moved++;
      }),
      { numRuns: 40 },
    );
    assert.ok(moved > 5, `${moved} runs with new keys`);
  });

  test('one crowd of entries costs a new key, and no search stays long', () => {
    let keys = 0;
    const given = knownAtFirst();
    const numbered = new Numbered(() => {
      keys++;
      return given();
    });
    for (let n = 1; n <= 20_000; n++) {
      numbered.add(n, n);
    }
    assert.equal(keys, 2);
    const searches = numbered.index.searches();
    assert.ok(Math.max(...searches) <= LONGEST_SEARCH, `${Math.max(...searches)}`);
    assert.ok(sum(searches) < 2 * searches.length, `${sum(searches)} places for ${searches.length} entries`);
  });

  test('the first entry that is too far from its place is the last, also before the others have moved', () => {
    const numbered = new Numbered(knownAtFirst());
    let far = 0;
    for (let n = 1; n <= 400; n++) {
      numbered.add(n, n);
      far = Math.max(far, numbered.index.searches().filter((steps) => steps > LONGEST_SEARCH).length);
    }
    assert.equal(far, 1);
  });

  test('entries move a few at a time', () => {
    for (const newKey of [undefined, knownAtFirst()]) {
      const numbered = new Numbered(newKey);
      let most = 0;
      for (let n = 1; n <= 70_000; n++) {
        numbered.placed = 0;
        numbered.add(n, n);
        most = Math.max(most, numbered.placed);
      }
      assert.ok(most > 1 && most <= 17, `${most} at once`);
    }
  });

  test('a key that stays bad costs time, and no wrong answer', () => {
    const numbered = new Numbered(() => new KnownKey(0, 0));
    for (let n = 1; n <= 300; n++) numbered.add(n, n);
    for (let n = 1; n <= 300; n++) assert.equal(numbered.find(n), n);
    for (let n = 1; n <= 300; n += 2) numbered.index.remove(n);
    for (let n = 1; n <= 300; n++) assert.equal(numbered.find(n), n % 2 === 0 ? n : 0);
  });
});

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}
