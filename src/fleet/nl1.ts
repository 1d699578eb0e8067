// nl1: flows as the kernel's own messages, many in one body. Messages of the same size stand together, byte k of all of them side by
// side: that is what makes them small once they are compressed. Little-endian:
//
//   u8 version 1, u8 flags, u16 groups, u32 rows
//   groups times: u16 size, u32 count
//   with ORDERED in flags: rows times u8, the group of each row
//   for each group, size x count bytes; with COLUMNS in flags instead:
//     the first message as it is, and a bit for each of its bytes (that of byte 0 is 1): whether others have other values there
//     u8 for each of those bytes: 0, or of which of them before it (the first is 1) it always has the value
//     a column of count bytes for each that has 0
//
// Two thirds of the bytes of flows are those of all flows, and a third of the others are told twice: by the tuple of the reply. COLUMNS is
// only for whoever says that it reads that (`Ct-Reads`). What comes in is hostile: every sum must fit before anything is allocated, and the
// messages are decoded by the one decoder (View).

import { DecodeError } from '../errors.js';
import { host16, host32, putHost16, putHost32 } from '../wire/bytes.js';
import { findDifferences, isSameColumn, NO_COLUMN, writeColumns, writeRows } from './columns.js';

const VERSION = 1;
/** The order of rows is told; without it, that of groups is the order. */
const ORDERED = 1;
/** What all messages of a group have in common stands there once, and so do columns that are equal. */
const COLUMNS = 2;
/** The last column of which others may be copies. */
const LAST_COPIED = 255;
const HEADER = 8;
const GROUP = 6;
const MAX_GROUPS = 255;
/** One that no size has. */
const NO_GROUP = 255;
/** Rows in a body. */
export const MAX_ROWS = 3000;
/** nlmsghdr and nfgenmsg. */
const LEAST_SIZE = 20;
const MOST_SIZE = 4096;
/** Of a flow with counters and time stamps; rows that are nothing special. */
const USUAL_SIZE = 256;
const EXPECTED = 256;
/** Bytes of messages in a body that is written. */
const FULL = 3 << 20;
/** Bytes of a body. */
export const MAX_BODY = 4 << 20;
const FLAGS_AT = 6;
const SEQUENCE_AT = 8;
const PORT_AT = 12;

/** Collects messages, and makes a body of them. */
export class Nl1Writer {
  #data: DataView;
  #length = 0;
  #rows = 0;
  readonly #starts = new Int32Array(MAX_ROWS + 1);
  /** Of a body: the group of each size, that of each row, and where the rows of the groups begin, one group after the other. */
  readonly #groupOf = new Uint8Array(MOST_SIZE + 1);
  readonly #groups = new Uint8Array(MAX_ROWS);
  readonly #grouped = new Int32Array(MAX_ROWS);
  /** 1: a message has this size. */
  readonly #isSize = new Uint8Array(MOST_SIZE + 1);
  #sizes = 0;
  /** Of a group: in which bits its rows differ, and where its columns are. */
  readonly #differences = new Int32Array(MOST_SIZE >> 2);
  readonly #places = new Int32Array(MOST_SIZE);
  /** Of a group: the columns that others may be copies of, by their numbers, and where they are. */
  readonly #keptNumbers = new Uint8Array(LAST_COPIED);
  readonly #keptPlaces = new Int32Array(LAST_COPIED);
  readonly #isEvents: boolean;
  #body = new Uint8Array(1 << 16);

  /**
   * `events`: flags and port id say what happened and who caused it, and are kept. `expected`: rows that it has room for from the start;
   * it grows for more.
   */
  constructor(kind: 'list' | 'events' = 'list', expected = EXPECTED) {
    this.#isEvents = kind === 'events';
    this.#data = new DataView(new ArrayBuffer(MOST_SIZE + USUAL_SIZE * Math.min(expected, MAX_ROWS)));
  }

  get rows(): number {
    return this.#rows;
  }

  /** Bytes of the messages. */
  get size(): number {
    return this.#length;
  }

  /**
   * Adds a copy of a message. @returns whether there was room: if not, take the body, reset, and add it again
   * @throws DecodeError if its size is impossible
   */
  add(from: DataView, start: number, size: number): boolean {
    if (size < LEAST_SIZE || size > MOST_SIZE) throw new DecodeError(`a message of ${size} bytes cannot be sent`, start);
    const isNew = this.#isSize[size] === 0;
    if (this.#rows === MAX_ROWS || this.#length + size > FULL || (isNew && this.#sizes === MAX_GROUPS)) return false;
    const at = this.#length;
    if (at + size > this.#data.byteLength) this.#grow();
    const own = this.#data;
    const words = size & ~3;
    for (let i = 0; i < words; i = (i + 4) | 0) own.setInt32((at + i) | 0, from.getInt32((start + i) | 0, true), true);
    for (let i = words; i < size; i++) own.setUint8(at + i, from.getUint8(start + i));
    own.setUint32(at, size, true);
    own.setUint32(at + SEQUENCE_AT, 0);
    if (!this.#isEvents) {
      own.setUint16(at + FLAGS_AT, 0);
      own.setUint32(at + PORT_AT, 0);
    }
    if (isNew) {
      this.#isSize[size] = 1;
      this.#sizes++;
    }
    this.#length += size;
    this.#starts[++this.#rows] = this.#length;
    return true;
  }

  #grow(): void {
    const larger = new Uint8Array(this.#data.byteLength * 2);
    larger.set(new Uint8Array(this.#data.buffer));
    this.#data = new DataView(larger.buffer);
  }

  /**
   * The rows from `from` to before `to` as a body, which is borrowed: valid until the next one. Fresh memory takes longer than filling it.
   * `columns`: the reader knows COLUMNS.
   */
  body({ from = 0, to = this.#rows, columns = false } = {}): Uint8Array {
    const starts = this.#starts;
    const rows = to - from;
    /** In the order in which they come. */
    const sizes: number[] = [];
    const counts: number[] = [];
    const groupOf = this.#groupOf.fill(NO_GROUP);
    for (let row = 0; row < rows; row++) {
      const size = starts[from + row + 1]! - starts[from + row]!;
      let group = groupOf[size]!;
      if (group === NO_GROUP) {
        group = sizes.push(size) - 1;
        groupOf[size] = group;
        counts.push(0);
      }
      this.#groups[row] = group;
      counts[group]!++;
    }
    const ordered = counts.length > 1;
    const head = HEADER + GROUP * counts.length;
    const data = head + (ordered ? rows : 0);
    const most =
      data + starts[to]! - starts[from]! + (columns ? sizes.reduce((sum, size) => sum + commonBytes(size) + size, 0) : 0);
    if (most > this.#body.length) this.#body = new Uint8Array(Math.max(most, 2 * this.#body.length));
    const body = this.#body;
    body[0] = VERSION;
    body[1] = (ordered ? ORDERED : 0) | (columns ? COLUMNS : 0);
    putHost16(body, 2, counts.length);
    putHost32(body, 4, rows);
    if (ordered) body.set(this.#groups.subarray(0, rows), head);
    /** Where the next row of each group goes. */
    const next: number[] = [];
    let first = 0;
    for (const count of counts) {
      next.push(first);
      first += count;
    }
    for (let row = 0; row < rows; row++) this.#grouped[next[this.#groups[row]!]!++] = starts[from + row]!;
    const target = new DataView(body.buffer);
    let at = data;
    first = 0;
    for (const [group, size] of sizes.entries()) {
      const count = counts[group]!;
      putHost16(body, HEADER + GROUP * group, size);
      putHost32(body, HEADER + GROUP * group + 2, count);
      const end = columns ? this.#writeCommon(first, count, size, at) : placeAll(this.#places, size, count, at);
      writeColumns(this.#data, this.#grouped, first, count, size, target, this.#places);
      at = columns ? this.#dropCopies(target, count, size, at + commonBytes(size)) : end;
      first += count;
    }
    return body.subarray(0, at);
  }

  /** The first row of a group, and where others have other values; says where columns are. @returns where they end */
  #writeCommon(first: number, count: number, size: number, at: number): number {
    const differences = this.#differences;
    findDifferences(this.#data, this.#grouped, first, count, size, differences);
    const body = this.#body;
    body.set(new Uint8Array(this.#data.buffer, this.#grouped[first]!, size), at);
    const bits = at + size;
    body.fill(0, bits, at + commonBytes(size));
    let differing = 0;
    for (let k = 0; k < size; k++) {
      const differs = ((differences[k >> 2]! >>> (8 * (k & 3))) & 0xff) !== 0;
      this.#places[k] = differs ? differing++ : NO_COLUMN;
      if (differs) body[bits + (k >> 3)]! |= 1 << (k & 7);
    }
    const columns = at + commonBytes(size) + differing;
    for (let k = 0; k < size; k++) if (this.#places[k]! >= 0) this.#places[k] = columns + this.#places[k]! * count;
    return columns + differing * count;
  }

  /** Leaves out columns that are equal to one before them, and says so from `originals` on. @returns where the others end */
  #dropCopies(body: DataView, count: number, size: number, originals: number): number {
    const bytes = this.#body;
    let column = 0;
    /** Of the columns that stay. */
    let kept = 0;
    let to = -1;
    for (let k = 0; k < size; k++) {
      const place = this.#places[k]!;
      if (place < 0) continue;
      if (to < 0) to = place;
      let original = 0;
      while (original < kept && !isSameColumn(body, this.#keptPlaces[original]!, place, count)) original++;
      const isCopy = original < kept;
      bytes[originals + column] = isCopy ? this.#keptNumbers[original]! : 0;
      column++;
      if (isCopy) continue;
      if (to < place) bytes.copyWithin(to, place, place + count);
      if (column <= LAST_COPIED) {
        this.#keptNumbers[kept] = column;
        this.#keptPlaces[kept++] = to;
      }
      to += count;
    }
    return Math.max(to, originals);
  }

  reset(): void {
    this.#length = 0;
    this.#rows = 0;
    this.#isSize.fill(0);
    this.#sizes = 0;
  }
}

/** Bytes of a message, and of a bit for each of its bytes. */
function commonBytes(size: number): number {
  return size + ((size + 7) >> 3);
}

/** Whether byte k has a column: its bit, of those from `bits` on. */
function hasColumn(body: Uint8Array, bits: number, k: number): boolean {
  return ((body[bits + (k >> 3)]! >> (k & 7)) & 1) !== 0;
}

/** How many of the first `size` bytes have columns. */
function countColumns(body: Uint8Array, bits: number, size: number): number {
  let columns = 0;
  for (let k = 0; k < size; k++) if (hasColumn(body, bits, k)) columns++;
  return columns;
}

/** Says where the columns of a group are that has all of them, from `at` on. @returns where they end */
function placeAll(places: Int32Array, size: number, count: number, at: number): number {
  for (let k = 0; k < size; k++) places[k] = at + k * count;
  return at + size * count;
}

/** Visits one message: bytes from `start` to `end`. Borrowed: valid during the call. */
export type VisitRow = (bytes: Uint8Array, start: number, end: number) => void;

/** Reads bodies, in memory that it uses again. */
export class Nl1Reader {
  #bytes = new Uint8Array(1 << 16);
  #data = new DataView(this.#bytes.buffer);
  /** Of a group: where its columns are, and what its rows have in common. */
  readonly #places = new Int32Array(MOST_SIZE);
  readonly #common = new Uint8Array(MOST_SIZE);
  readonly #commonData = new DataView(this.#common.buffer);
  /** Of a group: where its columns are, by their numbers. */
  readonly #numbered = new Int32Array(MOST_SIZE);

  /** How many rows a body has. @throws DecodeError for anything that is no complete body */
  check(body: Uint8Array): number {
    return readHeader(body).rows;
  }

  /** Visits every message, in order. @returns how many. @throws DecodeError before the first for anything that is no complete body */
  read(body: Uint8Array, visit: VisitRow): number {
    const { rows, sizes, counts, order, data, columns, bytes } = readHeader(body);
    const need = bytes + 3 * sizes.length;
    if (need > this.#bytes.length) {
      this.#bytes = new Uint8Array(Math.max(need, 2 * this.#bytes.length));
      this.#data = new DataView(this.#bytes.buffer);
    }
    const own = this.#bytes;
    const source = new DataView(body.buffer, body.byteOffset, body.length);
    const starts: number[] = [];
    let from = data;
    let to = 0;
    for (let group = 0; group < sizes.length; group++) {
      const size = sizes[group]!;
      const count = counts[group]!;
      starts.push(to);
      const end = columns ? this.#readCommon(body, size, count, from) : placeAll(this.#places, size, count, from);
      if (!columns) this.#common.fill(0, 0, size);
      writeRows(source, this.#places, this.#commonData, count, size, this.#data, to);
      for (let row = 0, start = to; row < count; row++, start += size)
        if (host32(own, start) !== size) throw new DecodeError(`a message of ${size} bytes says that it has others`, from + row);
      from = end;
      // Messages are decoded fastest where they are aligned.
      to = (to + size * count + 3) & ~3;
    }
    if (order < 0)
      for (let group = 0; group < sizes.length; group++) this.#visitAll(starts[group]!, sizes[group]!, counts[group]!, visit);
    else
      for (let row = 0; row < rows; row++) {
        const group = body[order + row]!;
        const start = starts[group]!;
        starts[group] = start + sizes[group]!;
        visit(own, start, start + sizes[group]!);
      }
    return rows;
  }

  /** What the rows of a group have in common; says where columns are. @returns where they end */
  #readCommon(body: Uint8Array, size: number, count: number, from: number): number {
    const originals = from + commonBytes(size);
    const differing = countColumns(body, from + size, size);
    let end = originals + differing;
    let column = 0;
    for (let k = 0; k < size; k++) {
      const differs = hasColumn(body, from + size, k);
      this.#common[k] = differs ? 0 : body[from + k]!;
      if (!differs) {
        this.#places[k] = NO_COLUMN;
        continue;
      }
      const original = body[originals + column]!;
      const place = original === 0 ? end : this.#numbered[original - 1]!;
      this.#places[k] = place;
      this.#numbered[column++] = place;
      if (original === 0) end += count;
    }
    return end;
  }

  #visitAll(first: number, size: number, count: number, visit: VisitRow): void {
    for (let row = 0, start = first; row < count; row++, start += size) visit(this.#bytes, start, start + size);
  }
}

interface Header {
  readonly rows: number;
  readonly sizes: readonly number[];
  readonly counts: readonly number[];
  /** Where the groups of the rows are told; -1: nowhere. */
  readonly order: number;
  /** Where the messages begin. */
  readonly data: number;
  readonly columns: boolean;
  /** Of all messages. */
  readonly bytes: number;
}

function readHeader(body: Uint8Array): Header {
  if (body.length < HEADER || body.length > MAX_BODY) throw new DecodeError(`a body of ${body.length} bytes`, 0);
  const [version, flags] = [body[0]!, body[1]!];
  if (version !== VERSION) throw new DecodeError(`a body of version ${version}`, 0);
  if ((flags & ~(ORDERED | COLUMNS)) !== 0) throw new DecodeError(`a body with flags ${flags}`, 1);
  const groups = host16(body, 2);
  const rows = host32(body, 4);
  if (groups > MAX_GROUPS || rows > MAX_ROWS) throw new DecodeError(`a body with ${groups} groups and ${rows} rows`, 2);
  const head = HEADER + GROUP * groups;
  const ordered = (flags & ORDERED) !== 0;
  const columns = (flags & COLUMNS) !== 0;
  const data = head + (ordered ? rows : 0);
  if (data > body.length) throw new DecodeError('a body that ends in its header', body.length);
  const sizes: number[] = [];
  const counts: number[] = [];
  let sum = 0;
  let bytes = 0;
  for (let at = HEADER; at < head; at += GROUP) {
    const size = host16(body, at);
    const count = host32(body, at + 2);
    if (size < LEAST_SIZE || size > MOST_SIZE) throw new DecodeError(`messages of ${size} bytes`, at);
    sum += count;
    bytes += size * count;
    sizes.push(size);
    counts.push(count);
  }
  if (sum !== rows) throw new DecodeError(`groups of ${sum} rows in a body of ${rows}`, 4);
  if (bytes > MAX_BODY) throw new DecodeError(`a body of ${bytes} bytes of messages`, 4);
  const end = columns ? endOfColumns(body, data, sizes, counts) : data + bytes;
  if (end !== body.length) throw new DecodeError(`${end} bytes of messages in a body of ${body.length}`, data);
  if (ordered) checkOrder(body, head, rows, counts);
  return { rows, sizes, counts, order: ordered ? head : -1, data, columns, bytes };
}

/** Where the columns end; beyond the body if it is cut. @throws DecodeError for a copy of a column that is not before it */
function endOfColumns(body: Uint8Array, data: number, sizes: readonly number[], counts: readonly number[]): number {
  let at = data;
  for (const [group, size] of sizes.entries()) {
    const originals = at + commonBytes(size);
    if (originals > body.length) return originals;
    const differing = countColumns(body, at + size, size);
    at = originals + differing;
    if (at > body.length) return at;
    for (let column = 0; column < differing; column++) {
      const original = body[originals + column]!;
      if (original > column)
        throw new DecodeError(`a copy of column ${original} that is column ${column + 1}`, originals + column);
      if (original === 0) at += counts[group]!;
    }
  }
  return at;
}

/** Each group must be named as often as it has rows. */
function checkOrder(body: Uint8Array, head: number, rows: number, counts: readonly number[]): void {
  const named = new Int32Array(counts.length);
  for (let row = 0; row < rows; row++) {
    const group = body[head + row]!;
    if (group >= counts.length) throw new DecodeError(`a row of group ${group} of ${counts.length}`, head + row);
    named[group]!++;
  }
  if (counts.some((count, group) => named[group] !== count)) throw new DecodeError('an order that does not fit its groups', head);
}
