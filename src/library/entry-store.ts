// EntryStore: the last message known of each entry, by a number of the owner's choice (a zone) and its first tuple. Messages lie in
// large pages outside the collector's reach; the index is one Int32Array. An entry of 200 bytes takes about 270 bytes here.

import { host16, host32, putHost32 } from '../wire/bytes.js';
import { NFNL_ATTRS } from '../wire/uapi/nfnetlink.js';

/** Bytes in a page, and in the unit that records are allocated in. */
const PAGE = 1 << 20;
const UNIT_BITS = 6;
const UNIT = 1 << UNIT_BITS;
const UNITS_PER_PAGE_BITS = 20 - UNIT_BITS;
/** Record: hash, message size, mark (free for the owner), the owner's part of the key, the entry's id; then the message. */
const HASH = 0;
const SIZE = 4;
const MARK = 8;
const KEY = 12;
const ID = 16;
const MESSAGE = 20;

const EMPTY = 0;
const FIRST_CAPACITY = 1024;

/** A record: the number of its unit, plus 1. 0 is none. */
export type RecordRef = number;

export class EntryStore {
  #index = new Int32Array(FIRST_CAPACITY);
  #size = 0;
  readonly #pages: Uint8Array[] = [];
  /** Units used of the last page. */
  #used = 1 << UNITS_PER_PAGE_BITS;
  /** Heads of the lists of free records, by size in units; the next one stands at HASH. */
  readonly #free: RecordRef[] = [];

  /** Entries. */
  get size(): number {
    return this.#size;
  }

  /** Bytes of memory for pages and index. */
  get bytes(): number {
    return this.#pages.length * PAGE + this.#index.byteLength;
  }

  /** The page that holds a record, for `View.decode` with `start` and `end`. */
  page(record: RecordRef): Uint8Array {
    return this.#pages[(record - 1) >> UNITS_PER_PAGE_BITS]!;
  }

  /** Where the message of a record begins in its page. */
  start(record: RecordRef): number {
    return this.#at(record) + MESSAGE;
  }

  end(record: RecordRef): number {
    return this.start(record) + host32(this.page(record), this.#at(record) + SIZE);
  }

  /** A number that the owner keeps with a record. */
  mark(record: RecordRef): number {
    return host32(this.page(record), this.#at(record) + MARK);
  }

  setMark(record: RecordRef, mark: number): void {
    putHost32(this.page(record), this.#at(record) + MARK, mark);
  }

  /** The entry's id, as it was given to `put`. */
  id(record: RecordRef): number {
    return host32(this.page(record), this.#at(record) + ID);
  }

  /** The record of `key` and the first attribute of the message at `at`, 0 when there is none. */
  find(bytes: Uint8Array, at: number, key: number): RecordRef {
    return this.#index[this.#slot(bytes, at, key, hashKey(bytes, at, key))]!;
  }

  /** Keeps a copy of the message at `at` to `end`, in place of what was known under its key. @returns the record, mark 0 */
  put(bytes: Uint8Array, at: number, end: number, key: number, id: number): RecordRef {
    const hash = hashKey(bytes, at, key);
    const slot = this.#slot(bytes, at, key, hash);
    const size = end - at;
    let record = this.#index[slot]!;
    if (record !== EMPTY && unitsFor(size) !== this.#units(record)) {
      this.#release(record);
      record = EMPTY;
      this.#size--;
    }
    if (record === EMPTY) {
      record = this.#allocate(unitsFor(size));
      this.#index[slot] = record;
      this.#size++;
    }
    const page = this.page(record);
    const to = this.#at(record);
    putHost32(page, to + HASH, hash);
    putHost32(page, to + SIZE, size);
    putHost32(page, to + MARK, 0);
    putHost32(page, to + KEY, key);
    putHost32(page, to + ID, id);
    page.set(bytes.subarray(at, end), to + MESSAGE);
    if (this.#size * 2 > this.#index.length) this.#grow();
    return record;
  }

  /** Forgets a record. */
  remove(record: RecordRef): void {
    const page = this.page(record);
    const at = this.#at(record);
    const mask = this.#index.length - 1;
    let hole = this.#slot(page, at + MESSAGE, host32(page, at + KEY), host32(page, at + HASH));
    this.#release(record);
    this.#size--;
    // Close the gap, so that a search never ends too early: entries behind it that could stand in it move up.
    for (let next = (hole + 1) & mask; ; next = (next + 1) & mask) {
      const moved = this.#index[next]!;
      if (moved === EMPTY) break;
      const home = host32(this.page(moved), this.#at(moved) + HASH) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#index[hole] = moved;
      hole = next;
    }
    this.#index[hole] = EMPTY;
  }

  /** The records there are now. Each may be gone, or be another entry's, by the time it is looked at: see `isInUse`. */
  records(): Int32Array {
    const records = new Int32Array(this.#size);
    let count = 0;
    for (const record of this.#index) if (record !== EMPTY) records[count++] = record;
    return records;
  }

  /** Whether an entry is kept in a record. */
  isInUse(record: RecordRef): boolean {
    return host32(this.page(record), this.#at(record) + SIZE) !== 0;
  }

  #at(record: RecordRef): number {
    return ((record - 1) & ((1 << UNITS_PER_PAGE_BITS) - 1)) << UNIT_BITS;
  }

  #units(record: RecordRef): number {
    return unitsFor(host32(this.page(record), this.#at(record) + SIZE));
  }

  /** Where the entry stands in the index, or the empty place for it. */
  #slot(bytes: Uint8Array, at: number, key: number, hash: number): number {
    const mask = this.#index.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const record = this.#index[slot]!;
      if (record === EMPTY) return slot;
      const page = this.page(record);
      const own = this.#at(record);
      if (host32(page, own + HASH) !== hash || host32(page, own + KEY) !== key) continue;
      if (sameKey(page, own + MESSAGE, bytes, at)) return slot;
    }
  }

  #allocate(units: number): RecordRef {
    const free = this.#free[units] ?? EMPTY;
    if (free !== EMPTY) {
      this.#free[units] = host32(this.page(free), this.#at(free) + HASH);
      return free;
    }
    if (this.#used + units > 1 << UNITS_PER_PAGE_BITS) {
      this.#pages.push(new Uint8Array(PAGE));
      this.#used = 0;
    }
    const record = ((this.#pages.length - 1) << UNITS_PER_PAGE_BITS) + this.#used + 1;
    this.#used += units;
    return record;
  }

  #release(record: RecordRef): void {
    const units = this.#units(record);
    putHost32(this.page(record), this.#at(record) + HASH, this.#free[units] ?? EMPTY);
    putHost32(this.page(record), this.#at(record) + SIZE, 0);
    this.#free[units] = record;
  }

  #grow(): void {
    const old = this.#index;
    this.#index = new Int32Array(old.length * 2);
    const mask = this.#index.length - 1;
    for (const record of old) {
      if (record === EMPTY) continue;
      let slot = host32(this.page(record), this.#at(record) + HASH) & mask;
      while (this.#index[slot] !== EMPTY) slot = (slot + 1) & mask;
      this.#index[slot] = record;
    }
  }
}

function unitsFor(size: number): number {
  return (size + MESSAGE + UNIT - 1) >> UNIT_BITS;
}

/** FNV-1a over the owner's part and the first attribute: the original tuple of a flow, the expected one of an expectation. */
function hashKey(bytes: Uint8Array, at: number, key: number): number {
  let hash = 0x811c9dc5 ^ key;
  const from = at + NFNL_ATTRS;
  const end = from + host16(bytes, from);
  for (let i = from; i + 4 <= end; i += 4) hash = Math.imul(hash ^ host32(bytes, i), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** Whether two messages begin with the same attribute. */
function sameKey(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  const size = host16(b, bAt + NFNL_ATTRS);
  for (let i = 0; i < size; i++) if (a[aAt + NFNL_ATTRS + i] !== b[bAt + NFNL_ATTRS + i]) return false;
  return true;
}
