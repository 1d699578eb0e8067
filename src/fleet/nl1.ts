// nl1: flows as the kernel's own messages, many in one body. Messages of the same size stand together, byte k of all of them side by
// side: that is what makes them small once they are compressed. Little-endian:
//
//   u8 version 1, u8 flags, u16 groups, u32 rows
//   groups times: u16 size, u32 count
//   with ORDERED in flags: rows times u8, the group of each row
//   for each group, size x count bytes
//
// What comes in is hostile: every sum must fit before anything is allocated, and the messages are decoded by the one decoder (View).

import { DecodeError } from '../errors.js';
import { host16, host32, putHost16, putHost32 } from '../wire/bytes.js';

const VERSION = 1;
/** The order of rows is told; without it, that of groups is the order. */
const ORDERED = 1;
const HEADER = 8;
const GROUP = 6;
const MAX_GROUPS = 255;
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
  #bytes = new Uint8Array(1 << 16);
  #length = 0;
  #rows = 0;
  readonly #starts = new Int32Array(MAX_ROWS + 1);
  readonly #sizes = new Map<number, number>();
  readonly #keepPort: boolean;

  /** `events`: the port id of a message says who caused it, and is kept. */
  constructor(kind: 'list' | 'events' = 'list') {
    this.#keepPort = kind === 'events';
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
  add(bytes: Uint8Array, start: number, size: number): boolean {
    if (size < LEAST_SIZE || size > MOST_SIZE) throw new DecodeError(`a message of ${size} bytes cannot be sent`, start);
    const group = this.#sizes.get(size);
    if (this.#rows === MAX_ROWS || this.#length + size > FULL || (group === undefined && this.#sizes.size === MAX_GROUPS))
      return false;
    const at = this.#length;
    if (at + size > this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    const own = this.#bytes;
    for (let i = 0; i < size; i++) own[at + i] = bytes[start + i]!;
    putHost32(own, at, size);
    putHost16(own, at + FLAGS_AT, 0);
    putHost32(own, at + SEQUENCE_AT, 0);
    if (!this.#keepPort) putHost32(own, at + PORT_AT, 0);
    this.#sizes.set(size, (group ?? 0) + 1);
    this.#length += size;
    this.#starts[++this.#rows] = this.#length;
    return true;
  }

  /** The rows from `from` to before `to` as a body. */
  body(from = 0, to = this.#rows): Uint8Array {
    const starts = this.#starts;
    const rows = to - from;
    /** Size → group, in the order in which they come. */
    const groups = new Map<number, number>();
    const counts: number[] = [];
    for (let row = from; row < to; row++) {
      const size = starts[row + 1]! - starts[row]!;
      const group = groups.get(size);
      if (group === undefined) {
        groups.set(size, counts.length);
        counts.push(1);
      } else counts[group]!++;
    }
    const ordered = counts.length > 1;
    const head = HEADER + GROUP * counts.length;
    const data = head + (ordered ? rows : 0);
    const body = new Uint8Array(data + starts[to]! - starts[from]!);
    body[0] = VERSION;
    body[1] = ordered ? ORDERED : 0;
    putHost16(body, 2, counts.length);
    putHost32(body, 4, rows);
    /** Where the next message of each group goes. */
    const next: number[] = [];
    let at = data;
    for (const [size, group] of groups) {
      putHost16(body, HEADER + GROUP * group, size);
      putHost32(body, HEADER + GROUP * group + 2, counts[group]!);
      next.push(at);
      at += size * counts[group]!;
    }
    const own = this.#bytes;
    let lastSize = -1;
    let group = 0;
    for (let row = from; row < to; row++) {
      const start = starts[row]!;
      const size = starts[row + 1]! - start;
      if (size !== lastSize) {
        group = groups.get(size)!;
        lastSize = size;
      }
      if (ordered) body[head + row - from] = group;
      const count = counts[group]!;
      let to = next[group]!++;
      for (let i = 0; i < size; i++) {
        body[to] = own[start + i]!;
        to += count;
      }
    }
    return body;
  }

  reset(): void {
    this.#length = 0;
    this.#rows = 0;
    this.#sizes.clear();
  }
}

/** Visits one message: bytes from `start` to `end`. Borrowed: valid during the call. */
export type VisitRow = (bytes: Uint8Array, start: number, end: number) => void;

/** Reads bodies, in memory that it uses again. */
export class Nl1Reader {
  #bytes = new Uint8Array(1 << 16);

  /** How many rows a body has. @throws DecodeError for anything that is no complete body */
  check(body: Uint8Array): number {
    return readHeader(body).rows;
  }

  /** Visits every message, in order. @returns how many. @throws DecodeError before the first for anything that is no complete body */
  read(body: Uint8Array, visit: VisitRow): number {
    const { rows, sizes, counts, order, data } = readHeader(body);
    const need = body.length - data + 3 * sizes.length;
    if (need > this.#bytes.length) this.#bytes = new Uint8Array(Math.max(need, 2 * this.#bytes.length));
    const own = this.#bytes;
    const starts: number[] = [];
    let from = data;
    let to = 0;
    for (let group = 0; group < sizes.length; group++) {
      const size = sizes[group]!;
      const count = counts[group]!;
      starts.push(to);
      for (let row = 0; row < count; row++) {
        const start = to + row * size;
        let at = from + row;
        for (let i = 0; i < size; i++) {
          own[start + i] = body[at]!;
          at += count;
        }
        if (host32(own, start) !== size) throw new DecodeError(`a message of ${size} bytes says that it has others`, at);
      }
      from += size * count;
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
}

function readHeader(body: Uint8Array): Header {
  if (body.length < HEADER || body.length > MAX_BODY) throw new DecodeError(`a body of ${body.length} bytes`, 0);
  const [version, flags] = [body[0]!, body[1]!];
  if (version !== VERSION) throw new DecodeError(`a body of version ${version}`, 0);
  if ((flags & ~ORDERED) !== 0) throw new DecodeError(`a body with flags ${flags}`, 1);
  const groups = host16(body, 2);
  const rows = host32(body, 4);
  if (groups > MAX_GROUPS || rows > MAX_ROWS) throw new DecodeError(`a body with ${groups} groups and ${rows} rows`, 2);
  const head = HEADER + GROUP * groups;
  const ordered = (flags & ORDERED) !== 0;
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
  if (data + bytes !== body.length) throw new DecodeError(`${data + bytes} bytes of messages in a body of ${body.length}`, data);
  if (ordered) checkOrder(body, head, rows, counts);
  return { rows, sizes, counts, order: ordered ? head : -1, data };
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
