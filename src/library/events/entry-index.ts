// EntryIndex: finds a record by its name: a number and some words. A hash table outside the collector's reach.
//
// Senders of packets choose names, so the hash is keyed (hash-key.ts), and however they choose, no search is long: if one would take more
// than LONGEST_SEARCH steps, all entries move to a table with a new key. Moving, like growing, proceeds in small steps, one with each new
// entry, so that nobody waits even for a million entries.

import { HashKey } from './hash-key.js';

/** A record of the owner; 0 is none. */
export type RecordRef = number;

/** Questions of the index to its owner, which has the names. */
export interface IndexedRecords {
  /** Whether a record has this name. */
  isNamed(record: RecordRef, number: number, words: Int32Array, from: number, count: number): boolean;
  /** The hash of a record's name under this key. */
  hashUnder(key: HashKey, record: RecordRef): number;
  /** The hash that was given to `setHash` last. */
  hash(record: RecordRef): number;
  setHash(record: RecordRef, hash: number): void;
}

/**
 * Places looked at for one entry. In a table that is half full, a hash that nobody aims at puts one entry in some 10^15 farther from
 * its own place: an entry that needs more has been chosen by somebody who knows the key, and is the last one to get that far.
 */
export const LONGEST_SEARCH = 192;
const FIRST_CAPACITY = 1024;
/** Places of the old table that are emptied with each new entry: all of them long before the new one is full. */
const STEP = 16;

// Records of a place that has none.
const EMPTY = 0;
/** In a table that is being left: here was something, and the search goes on. */
const MOVED = -1;

/** A hash table. */
class Places {
  /** Of each place the hash and the record, side by side, as they are looked at together. */
  readonly slots: Int32Array;
  readonly capacity: number;
  readonly mask: number;
  readonly key: HashKey;
  /** The farthest that an entry has ever stood from its own place: nothing is looked for behind that. */
  longest = 0;

  constructor(capacity: number, key: HashKey) {
    this.slots = new Int32Array(2 * capacity);
    this.capacity = capacity;
    this.mask = capacity - 1;
    this.key = key;
  }

  hash(place: number): number {
    return this.slots[2 * place]!;
  }

  record(place: number): RecordRef {
    return this.slots[2 * place + 1]!;
  }

  put(place: number, hash: number, record: RecordRef): void {
    this.slots[2 * place] = hash;
    this.slots[2 * place + 1] = record;
  }

  /** Puts a record into a free place. */
  insert(record: RecordRef, hash: number): void {
    const { mask } = this;
    let place = hash & mask;
    while (this.record(place) !== EMPTY) place = (place + 1) & mask;
    this.put(place, hash, record);
    this.longest = Math.max(this.longest, (place - hash) & mask);
  }

  /** The place of a record with this hash; -1 if there is none. */
  placeOf(record: RecordRef, hash: number): number {
    for (let steps = 0; steps <= this.longest; steps++) {
      const place = (hash + steps) & this.mask;
      if (this.record(place) === record) return place;
    }
    return -1;
  }

  /** Empties a place, so that no search ends too early: entries behind it that could stand in it move up. */
  empty(place: number): void {
    const { mask, longest } = this;
    let hole = place;
    for (let steps = 1; steps <= longest; steps++) {
      const next = (hole + steps) & mask;
      if (this.record(next) === EMPTY) break;
      if (((next - this.hash(next)) & mask) < steps) continue;
      this.put(hole, this.hash(next), this.record(next));
      hole = next;
      steps = 0;
    }
    this.put(hole, 0, EMPTY);
  }
}

export class EntryIndex {
  readonly #owner: IndexedRecords;
  readonly #newKey: () => HashKey;
  #places: Places;
  #size = 0;
  /** The table that entries are moving from, and how many of its places are done. */
  #old: Places | undefined;
  #done = 0;

  /** `newKey`: for tests. */
  constructor(owner: IndexedRecords, newKey: () => HashKey = HashKey.random) {
    this.#owner = owner;
    this.#newKey = newKey;
    this.#places = new Places(FIRST_CAPACITY, newKey());
  }

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#places.slots.byteLength + (this.#old?.slots.byteLength ?? 0);
  }

  /** The record of a name, 0 when there is none. */
  find(number: number, words: Int32Array, from: number, count: number): RecordRef {
    const { key } = this.#places;
    const hash = key.hash(number, words, from, count);
    const record = this.#search(this.#places, hash, number, words, from, count);
    const old = this.#old;
    if (record !== EMPTY || !old) return record;
    const oldHash = old.key === key ? hash : old.key.hash(number, words, from, count);
    return this.#search(old, oldHash, number, words, from, count);
  }

  /** Adds a record whose name is not there. */
  add(record: RecordRef): void {
    this.#insert(record, this.#owner.hashUnder(this.#places.key, record));
    this.#size++;
    if (this.#old) this.#move(this.#done + STEP);
    const { capacity, key, longest } = this.#places;
    if (longest >= LONGEST_SEARCH) {
      if (this.#old) this.#move(this.#old.capacity);
      this.#leave(capacity, this.#newKey());
    } else if (!this.#old && this.#size * 2 > capacity) this.#leave(capacity * 2, key);
  }

  /** Forgets a record. */
  remove(record: RecordRef): void {
    this.#size--;
    const hash = this.#owner.hash(record);
    const place = this.#places.placeOf(record, hash);
    if (place >= 0) this.#places.empty(place);
    else this.#old!.put(this.#old!.placeOf(record, hash), hash, MOVED);
  }

  /** Every record there is. */
  records(): Int32Array {
    const records = new Int32Array(this.#size);
    let count = 0;
    for (const { slots } of this.#tables())
      for (let i = 1; i < slots.length; i += 2) if (slots[i]! > EMPTY) records[count++] = slots[i]!;
    return records;
  }

  /** How many places are looked at until each of the records is found in its table. For tests. */
  searches(): number[] {
    const searches: number[] = [];
    for (const places of this.#tables())
      for (let place = 0; place < places.capacity; place++)
        if (places.record(place) > EMPTY) searches.push(((place - places.hash(place)) & places.mask) + 1);
    return searches;
  }

  #tables(): Places[] {
    return this.#old ? [this.#places, this.#old] : [this.#places];
  }

  #search(places: Places, hash: number, number: number, words: Int32Array, from: number, count: number): RecordRef {
    const { mask, longest } = places;
    for (let steps = 0; steps <= longest; steps++) {
      const place = (hash + steps) & mask;
      const record = places.record(place);
      if (record === EMPTY) break;
      if (places.hash(place) === hash && record !== MOVED && this.#owner.isNamed(record, number, words, from, count))
        return record;
    }
    return EMPTY;
  }

  #insert(record: RecordRef, hash: number): void {
    this.#places.insert(record, hash);
    this.#owner.setHash(record, hash);
  }

  /** Entries begin to move to another table. */
  #leave(capacity: number, key: HashKey): void {
    this.#old = this.#places;
    this.#done = 0;
    this.#places = new Places(capacity, key);
  }

  /** Moves the entries of the old table that stand before `end`. */
  #move(end: number): void {
    const old = this.#old!;
    const { key } = this.#places;
    for (; this.#done < end && this.#done < old.capacity; this.#done++) {
      const record = old.record(this.#done);
      if (record === EMPTY || record === MOVED) continue;
      const hash = old.hash(this.#done);
      old.put(this.#done, hash, MOVED);
      this.#insert(record, key === old.key ? hash : this.#owner.hashUnder(key, record));
    }
    if (this.#done === old.capacity) this.#old = undefined;
  }
}
