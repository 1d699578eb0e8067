// EntryStore: the last message known of each entry, by a number of the owner's choice (a zone) and its first attribute: the original
// tuple of a flow, the expected one of an expectation. Messages lie in large pages outside the collector's reach, as does the index
// (entry-index.ts). An entry of 200 bytes takes about 260 bytes here; parts that the owner has elsewhere can be left out.

import { host16, machineWords } from '../../wire/bytes.js';
import { NFNL_ATTRS } from '../../wire/uapi/nfnetlink.js';
import { EntryIndex, type RecordRef } from './entry-index.js';
import type { HashKey } from './hash-key.js';

/** Bytes in a page, and in the unit that records are allocated in. */
const PAGE = 1 << 20;
const UNIT_BITS = 3;
const UNIT = 1 << UNIT_BITS;
const UNITS_PER_PAGE_BITS = 20 - UNIT_BITS;
/**
 * Units that a record may have more than its message needs: a message of an event is a little shorter than that of a list, and takes turns
 * with it.
 */
const SPARE = 4;
/** In the word of the size: the bytes of the message, and above them the units to spare. */
const SIZE_BITS = 24;
const SIZE_MASK = (1 << SIZE_BITS) - 1;
/** Record, in words: hash, size of the message, mark, the owner's number, the entry's id, notes; then the message. */
const HASH = 0;
const SIZE = 1;
const MARK = 2;
const NUMBER = 3;
const ID = 4;
const NOTE = 5;
const NOTES = 5;
const MESSAGE = NOTE + NOTES;
/** From the beginning of a message to its first attribute, in words. */
const NAME = NFNL_ATTRS >> 2;

/** A record is the number of its unit, plus 1. */
const NONE: RecordRef = 0;
const NO_HOLES = new Int32Array(0);

export class EntryStore {
  readonly #index: EntryIndex;
  /** Each page as bytes and as words. */
  readonly #pages: Uint8Array[] = [];
  readonly #words: Int32Array[] = [];
  /** Units used of the last page. */
  #used = 1 << UNITS_PER_PAGE_BITS;
  /** Units of the record that was allocated last. */
  #allocated = 0;
  /** Heads of the lists of free records, by size in units; the next one stands at HASH. */
  readonly #free: RecordRef[] = [];
  /** The memory that a message was given in last, as words. */
  #given: Uint8Array = new Uint8Array(0);
  #givenWords = machineWords(this.#given);

  /** `newKey`: for tests. */
  constructor(newKey?: () => HashKey) {
    this.#index = new EntryIndex(
      {
        isNamed: (record, number, words, from, count) => {
          const own = this.#wordsOf(record);
          const at = this.#at(record);
          return own[at + NUMBER] === number && sameWords(own, at + MESSAGE + NAME, words, from, count);
        },
        hashUnder: (key, record) => {
          const at = this.#at(record);
          const words = this.#wordsOf(record);
          return key.hash(words[at + NUMBER]!, words, at + MESSAGE + NAME, nameSize(this.page(record), this.start(record)));
        },
        hash: (record) => this.#read(record, HASH),
        setHash: (record, hash) => this.#write(record, HASH, hash),
      },
      newKey,
    );
  }

  /** Entries. */
  get size(): number {
    return this.#index.size;
  }

  /** Bytes of memory for pages and index. */
  get bytes(): number {
    return this.#pages.length * PAGE + this.#index.bytes;
  }

  /** The page that holds a record, for `View.decode` with `start` and `end`. */
  page(record: RecordRef): Uint8Array {
    return this.#pages[(record - 1) >> UNITS_PER_PAGE_BITS]!;
  }

  /** Where the message of a record begins in its page. */
  start(record: RecordRef): number {
    return (this.#at(record) + MESSAGE) << 2;
  }

  end(record: RecordRef): number {
    return this.start(record) + this.#size(record);
  }

  /** A number that the owner keeps with a message: 0 when another takes its place. */
  mark(record: RecordRef): number {
    return this.#read(record, MARK) >>> 0;
  }

  setMark(record: RecordRef, mark: number): void {
    this.#write(record, MARK, mark);
  }

  /** Number 0 to 4 of those that the owner keeps with an entry, whatever message is known of it: 0 at first. */
  note(record: RecordRef, index: number): number {
    return this.#read(record, NOTE + index);
  }

  setNote(record: RecordRef, index: number, value: number): void {
    this.#write(record, NOTE + index, value);
  }

  /** The entry's id, as it was given to `put`. */
  id(record: RecordRef): number {
    return this.#read(record, ID) >>> 0;
  }

  /** The record of `number` and the first attribute of the message at `at`, 0 when there is none. */
  find(bytes: Uint8Array, at: number, number: number): RecordRef {
    const words = this.#asWords(bytes);
    return this.#index.find(number | 0, words, (at >> 2) + NAME, nameSize(bytes, at));
  }

  /**
   * Keeps a copy of the message at `at` to `end`, in place of the one known under its name: `before`, which `find` has found. `holes` are
   * left out: where each begins and ends, in words from the beginning of the message; behind its first attribute.
   * @returns the record, with mark 0
   */
  put(
    bytes: Uint8Array,
    at: number,
    end: number,
    number: number,
    id: number,
    before: RecordRef = this.find(bytes, at, number),
    holes: Int32Array = NO_HOLES,
  ): RecordRef {
    let size = end - at;
    for (let i = 0; i < holes.length; i += 2) size -= (holes[i + 1]! - holes[i]!) << 2;
    const units = unitsFor(size);
    const room = before === NONE ? 0 : this.#units(before);
    const fits = room >= units && room <= units + SPARE;
    const record = fits ? before : this.#allocate(units);
    const spare = (fits ? room : this.#allocated) - units;
    if (!fits) {
      for (let i = 0; i < NOTES; i++) this.setNote(record, i, before === NONE ? 0 : this.note(before, i));
      if (before !== NONE) this.remove(before);
    }
    this.#write(record, SIZE, size | (spare << SIZE_BITS));
    this.#write(record, MARK, 0);
    this.#write(record, NUMBER, number);
    this.#write(record, ID, id);
    this.#copy(record, this.#asWords(bytes), at >> 2, (end + 3) >> 2, holes);
    if (!fits) this.#index.add(record);
    return record;
  }

  /** Forgets a record. */
  remove(record: RecordRef): void {
    this.#index.remove(record);
    this.#release(record);
  }

  /** The records there are now. Each may be gone, or be another entry's, by the time it is looked at: see `isInUse`. */
  records(): Int32Array {
    return this.#index.records();
  }

  /** Whether an entry is kept in a record. */
  isInUse(record: RecordRef): boolean {
    return this.#read(record, SIZE) !== 0;
  }

  /** How many places are looked at until each record is found. For tests. */
  searches(): number[] {
    return this.#index.searches();
  }

  #size(record: RecordRef): number {
    return this.#read(record, SIZE) & SIZE_MASK;
  }

  #units(record: RecordRef): number {
    return unitsFor(this.#size(record)) + (this.#read(record, SIZE) >>> SIZE_BITS);
  }

  #wordsOf(record: RecordRef): Int32Array {
    return this.#words[(record - 1) >> UNITS_PER_PAGE_BITS]!;
  }

  /** Where a record begins in its page, in words. */
  #at(record: RecordRef): number {
    return ((record - 1) & ((1 << UNITS_PER_PAGE_BITS) - 1)) << (UNIT_BITS - 2);
  }

  #read(record: RecordRef, field: number): number {
    return this.#wordsOf(record)[this.#at(record) + field]!;
  }

  #write(record: RecordRef, field: number, value: number): void {
    this.#wordsOf(record)[this.#at(record) + field] = value;
  }

  /** The memory of a message, which begins at a multiple of 4 as every message of netlink does. */
  #asWords(bytes: Uint8Array): Int32Array {
    if (bytes !== this.#given) {
      this.#given = bytes;
      this.#givenWords = machineWords(bytes);
    }
    return this.#givenWords;
  }

  /** Copies a message but for its holes. */
  #copy(record: RecordRef, from: Int32Array, start: number, end: number, holes: Int32Array): void {
    const to = this.#wordsOf(record);
    let at = this.#at(record) + MESSAGE;
    let next = start;
    for (let i = 0; i < holes.length; i += 2) {
      const hole = start + holes[i]!;
      copyWords(to, at, from, next, hole - next);
      at += hole - next;
      next = start + holes[i + 1]!;
    }
    copyWords(to, at, from, next, end - next);
    if (holes.length > 0) to[this.#at(record) + MESSAGE] = this.#size(record); // the length in its header
  }

  /** Takes a record of so many units, or a few more: `#allocated`. */
  #allocate(units: number): RecordRef {
    for (let more = units; more <= units + SPARE; more++) {
      const free = this.#free[more] ?? NONE;
      if (free === NONE) continue;
      this.#free[more] = this.#read(free, HASH);
      this.#allocated = more;
      return free;
    }
    this.#allocated = units;
    if (this.#used + units > 1 << UNITS_PER_PAGE_BITS) {
      const page = new Uint8Array(PAGE);
      this.#pages.push(page);
      this.#words.push(machineWords(page));
      this.#used = 0;
    }
    const record = ((this.#pages.length - 1) << UNITS_PER_PAGE_BITS) + this.#used + 1;
    this.#used += units;
    return record;
  }

  #release(record: RecordRef): void {
    const units = this.#units(record);
    this.#write(record, HASH, this.#free[units] ?? NONE);
    this.#write(record, SIZE, 0);
    this.#free[units] = record;
  }
}

function unitsFor(size: number): number {
  return (size + 4 * MESSAGE + UNIT - 1) >> UNIT_BITS;
}

/** Words of the first attribute of the message at `at`: it has others in it, so that its size is a multiple of 4. */
function nameSize(bytes: Uint8Array, at: number): number {
  return host16(bytes, at + NFNL_ATTRS) >> 2;
}

function sameWords(a: Int32Array, aAt: number, b: Int32Array, bAt: number, count: number): boolean {
  for (let i = 0; i < count; i = (i + 1) | 0) if (a[(aAt + i) | 0] !== b[(bAt + i) | 0]) return false;
  return true;
}

function copyWords(to: Int32Array, toAt: number, from: Int32Array, fromAt: number, count: number): void {
  for (let i = 0; i < count; i = (i + 1) | 0) to[(toAt + i) | 0] = from[(fromAt + i) | 0]!;
}
