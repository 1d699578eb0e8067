// nl1: flows as the kernel's own messages, many in one body. Messages of the same size stand together, byte k of all of them side by
// side: that is what makes them small once they are compressed. Little-endian:
//
//   u8 version 1, u8 flags, u16 groups, u32 rows
//   groups times: u16 size, u32 count
//   with ORDERED in flags: rows times u8, the group of each row
//   for each group, size x count bytes; with COMMON in flags instead:
//     the first message as it is, and a bit for each of its bytes (that of byte 0 is 1): whether others have other values there
//     a column of count bytes for each of those bytes
//
// Two thirds of the bytes of flows are those of all flows. COMMON is only for whoever says that it reads that (`Ct-Reads`). What comes in is hostile: every sum must fit before anything is allocated, and the messages are decoded by the one decoder (View).

import { DecodeError } from '../errors.js';
import { host16, host32, putHost16, putHost32 } from '../wire/bytes.js';
import { findDifferences, NO_COLUMN, writeColumns, writeRows } from './columns.js';

const VERSION = 1;
/** The order of rows is told; without it, that of groups is the order. */
const ORDERED = 1;
/** What all messages of a group have in common stands there once. */
const COMMON = 2;
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
/** Bytes of messages in a body that is written. */
const FULL = 3 << 20;
/** Bytes of a body. */
export const MAX_BODY = 4 << 20;
const FLAGS_AT = 6;
const SEQUENCE_AT = 8;
const PORT_AT = 12;

/** Collects messages, and makes a body of them. */
export class Nl1Writer {
  #data = new DataView(new ArrayBuffer(1 << 16));
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
  readonly #isEvents: boolean;
  #body = new Uint8Array(1 << 16);

  /** `events`: flags and port id say what happened and who caused it, and are kept. */
  constructor(kind: 'list' | 'events' = 'list') {
    this.#isEvents = kind === 'events';
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
   * `common`: the reader knows COMMON.
   */
  body({ from = 0, to = this.#rows, common = false } = {}): Uint8Array {
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
    const most = data + starts[to]! - starts[from]! + (common ? sizes.reduce((sum, size) => sum + commonBytes(size), 0) : 0);
    if (most > this.#body.length) this.#body = new Uint8Array(Math.max(most, 2 * this.#body.length));
    const body = this.#body;
    body[0] = VERSION;
    body[1] = (ordered ? ORDERED : 0) | (common ? COMMON : 0);
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
    const columns = new DataView(body.buffer);
    let at = data;
    first = 0;
    for (const [group, size] of sizes.entries()) {
      const count = counts[group]!;
      putHost16(body, HEADER + GROUP * group, size);
      putHost32(body, HEADER + GROUP * group + 2, count);
      if (common) this.#writeCommon(first, count, size, at);
      at = placeColumns(this.#places, body, common, size, count, at);
      writeColumns(this.#data, this.#grouped, first, count, size, columns, this.#places);
      first += count;
    }
    return body.subarray(0, at);
  }

  /** The first row of a group, and where others have other values. */
  #writeCommon(first: number, count: number, size: number, at: number): void {
    const differences = this.#differences;
    findDifferences(this.#data, this.#grouped, first, count, size, differences);
    const body = this.#body;
    body.set(new Uint8Array(this.#data.buffer, this.#grouped[first]!, size), at);
    const bits = at + size;
    body.fill(0, bits, at + commonBytes(size));
    for (let k = 0; k < size; k++)
      if (((differences[k >> 2]! >>> (8 * (k & 3))) & 0xff) !== 0) body[bits + (k >> 3)]! |= 1 << (k & 7);
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

/** Says where the columns of a group are that begins at `at`. @returns where they end */
function placeColumns(places: Int32Array, body: Uint8Array, common: boolean, size: number, count: number, at: number): number {
  let end = common ? at + commonBytes(size) : at;
  for (let k = 0; k < size; k++)
    if (!common || hasColumn(body, at + size, k)) {
      places[k] = end;
      end += count;
    } else places[k] = NO_COLUMN;
  return end;
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

  /** How many rows a body has. @throws DecodeError for anything that is no complete body */
  check(body: Uint8Array): number {
    return readHeader(body).rows;
  }

  /** Visits every message, in order. @returns how many. @throws DecodeError before the first for anything that is no complete body */
  read(body: Uint8Array, visit: VisitRow): number {
    const { rows, sizes, counts, order, data, common, bytes } = readHeader(body);
    const need = bytes + 3 * sizes.length;
    if (need > this.#bytes.length) {
      this.#bytes = new Uint8Array(Math.max(need, 2 * this.#bytes.length));
      this.#data = new DataView(this.#bytes.buffer);
    }
    const own = this.#bytes;
    const columns = new DataView(body.buffer, body.byteOffset, body.length);
    const starts: number[] = [];
    let from = data;
    let to = 0;
    for (let group = 0; group < sizes.length; group++) {
      const size = sizes[group]!;
      const count = counts[group]!;
      starts.push(to);
      for (let k = 0; k < size; k++) this.#common[k] = common && !hasColumn(body, from + size, k) ? body[from + k]! : 0;
      const end = placeColumns(this.#places, body, common, size, count, from);
      writeRows(columns, this.#places, this.#commonData, count, size, this.#data, to);
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
  readonly common: boolean;
  /** Of all messages. */
  readonly bytes: number;
}

function readHeader(body: Uint8Array): Header {
  if (body.length < HEADER || body.length > MAX_BODY) throw new DecodeError(`a body of ${body.length} bytes`, 0);
  const [version, flags] = [body[0]!, body[1]!];
  if (version !== VERSION) throw new DecodeError(`a body of version ${version}`, 0);
  if ((flags & ~(ORDERED | COMMON)) !== 0) throw new DecodeError(`a body with flags ${flags}`, 1);
  const groups = host16(body, 2);
  const rows = host32(body, 4);
  if (groups > MAX_GROUPS || rows > MAX_ROWS) throw new DecodeError(`a body with ${groups} groups and ${rows} rows`, 2);
  const head = HEADER + GROUP * groups;
  const ordered = (flags & ORDERED) !== 0;
  const common = (flags & COMMON) !== 0;
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
  const end = common ? endOfColumns(body, data, sizes, counts) : data + bytes;
  if (end !== body.length) throw new DecodeError(`${end} bytes of messages in a body of ${body.length}`, data);
  if (ordered) checkOrder(body, head, rows, counts);
  return { rows, sizes, counts, order: ordered ? head : -1, data, common, bytes };
}

/** Where the columns end; beyond the body if it is cut. */
function endOfColumns(body: Uint8Array, data: number, sizes: readonly number[], counts: readonly number[]): number {
  let at = data;
  for (const [group, size] of sizes.entries()) {
    const bits = at + size;
    at += commonBytes(size);
    if (at > body.length) break;
    for (let k = 0; k < size; k++) if (hasColumn(body, bits, k)) at += counts[group]!;
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
