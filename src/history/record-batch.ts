// RecordBatch: records on their way from the recorder to its writer, as numbers and bytes: nothing is allocated for one of them, and a
// batch goes to another thread as it is.

import { ORIGINAL, REPLY, S, T } from '../ctnetlink/fields.js';
import { TRACKERS } from '../ctnetlink/filter/compile.js';
import { dnatAddress, dnatPort } from '../ctnetlink/nat.js';
import { icmp } from '../ctnetlink/protocols/icmp.js';
import { icmpv6 } from '../ctnetlink/protocols/icmpv6.js';
import { AF_INET6 } from '../ctnetlink/uapi/in.js';
import type { View } from '../ctnetlink/view.js';
import { type BlockFilter, hashOfBytes, hashOfNumber, INDEXES, type IndexRow } from './block-filter.js';
import type { SqliteValue } from './driver/sqlite.js';
import { ABSENT, COLUMN, type ColumnRow, ORIGINAL_ONLY, RECORD_COLUMNS, REPLY_ONLY } from './record-columns.js';

/** What a row of a batch is. */
export const ENDED = 0;
/** A flow that lives, to be kept in `open`. */
export const OPENED = 1;
/** A flow that ended, of which no record is wanted: it goes from `open`. */
export const DROPPED = 2;

const COLUMNS = RECORD_COLUMNS.length;
// Behind the columns:
const KIND = COLUMNS;
/** The recorder's number of the flow, if `open` has it. */
const KEY = COLUMNS + 1;
/** When it was known to be alive last, and the kernel's identifier, as a signed number: of open flows. */
const SEEN = COLUMNS + 2;
const ID = COLUMNS + 3;
/** The upper halves of counters. */
const HIGH = COLUMNS + 4;
const WIDTH = HIGH + 4;

const COUNTERS = [S.packetsOriginal, S.bytesOriginal, S.packetsReply, S.bytesReply] as const;
const FIRST_COUNTER = COLUMN.opk;
const ADDRESSES = RECORD_COLUMNS.flatMap(({ kind }: ColumnRow, place) => (kind === 'address' ? [place] : []));
/** Place of an address column among the addresses; -1 for other columns. */
const ADDRESS_OF = RECORD_COLUMNS.map((_, place) => ADDRESSES.indexOf(place));
/** Instead of a number: the address has its 16 bytes beside the numbers. */
const IN_BYTES = Number.POSITIVE_INFINITY;
const ADDRESS_SIZE = 16;
const HALF = 4294967296;

/** Numbers and bytes of a batch, as they go to another thread. */
export interface BatchContents {
  readonly count: number;
  readonly numbers: Float64Array;
  readonly addresses: Uint8Array;
}

/** Rows between two hand-overs. */
export const BATCH_ROWS = 4096;

export class RecordBatch {
  #count = 0;
  #numbers = new Float64Array(64 * WIDTH);
  #addresses = new Uint8Array(64 * ADDRESSES.length * ADDRESS_SIZE);

  get count(): number {
    return this.#count;
  }

  /** Adds a row with all that a message says of a flow. Times, keys and reasons are the caller's: `set` sets them. */
  add(view: View, kind: typeof ENDED | typeof OPENED): void {
    this.#begin(kind);
    const proto = view.u8(ORIGINAL + T.protonum);
    this.#address(COLUMN.src, view, ORIGINAL, 'src');
    this.#address(COLUMN.dst, view, ORIGINAL, 'dst');
    this.#address(COLUMN.ext, view, REPLY, 'dst');
    const translated = dnatAddress(view) || dnatPort(view);
    if (translated) this.#address(COLUMN.rsrc, view, REPLY, 'src');
    if (proto === icmp.number || proto === icmpv6.number) {
      const six = proto === icmpv6.number;
      this.set(COLUMN.sport, view.be16(ORIGINAL + (six ? T.icmpv6Id : T.icmpId)));
      this.set(
        COLUMN.dport,
        view.u8(ORIGINAL + (six ? T.icmpv6Type : T.icmpType)) * 256 + view.u8(ORIGINAL + (six ? T.icmpv6Code : T.icmpCode)),
      );
      this.set(COLUMN.eport, view.be16(REPLY + (six ? T.icmpv6Id : T.icmpId)));
    } else if (view.has(ORIGINAL + T.sport)) {
      this.set(COLUMN.sport, view.be16(ORIGINAL + T.sport));
      this.set(COLUMN.dport, view.be16(ORIGINAL + T.dport));
      this.set(COLUMN.eport, view.be16(REPLY + T.dport));
      if (translated) this.set(COLUMN.rsport, view.be16(REPLY + T.sport));
    }
    this.set(COLUMN.proto, proto);
    this.set(COLUMN.status, view.be32(S.status));
    const state = stateSlot(proto);
    if (state !== undefined && view.has(state)) this.set(COLUMN.state, view.u8(state));
    const zone = zoneOf(view);
    if (zone !== 0) this.set(COLUMN.zone, zone);
    const mark = view.be32(S.mark);
    if (mark !== 0) this.set(COLUMN.mark, mark);
    if (kind === OPENED || !view.has(S.bytesOriginal)) return;
    for (let n = 0; n < COUNTERS.length; n++) {
      this.set(FIRST_COUNTER + n, view.low32(COUNTERS[n]!) >>> 0);
      this.set(HIGH + n, view.high32(COUNTERS[n]!) >>> 0);
    }
  }

  /** A flow that `open` has and that has ended without a record. */
  drop(key: number): void {
    this.#begin(DROPPED);
    this.set(KEY, key);
  }

  /** Sets a column of the row added last. */
  set(column: number, value: number): void {
    this.#numbers[(this.#count - 1) * WIDTH + column] = value;
  }

  /** The key of the row added last: `open` has it, or shall. */
  setKey(key: number): void {
    this.set(KEY, key);
  }

  /** What `open` has besides, of the row added last. */
  setOpen(seen: number, id: number): void {
    this.set(SEEN, seen);
    this.set(ID, id);
  }

  /** A column of the row added last. */
  get(column: number): number {
    return this.#numbers[(this.#count - 1) * WIDTH + column]!;
  }

  /** Leaves out destinations from the row added last. */
  forgetDestination(): void {
    for (const column of [COLUMN.dst, COLUMN.dport, COLUMN.rsrc, COLUMN.rsport, COLUMN.opk, COLUMN.rpk]) this.set(column, ABSENT);
  }

  /** What names the row added last, and no other flow at the same time. */
  nameOfLast(): string {
    const values = rowValues(this, this.#count - 1);
    return nameOf(NAMING.map((column) => values[column]!));
  }

  /** Takes the row added last away. */
  undo(): void {
    this.#count--;
  }

  /** All rows, for another thread; the batch is empty afterwards. */
  take(): BatchContents {
    const count = this.#count;
    this.#count = 0;
    return {
      count,
      numbers: this.#numbers.slice(0, count * WIDTH),
      addresses: this.#addresses.slice(0, count * ADDRESSES.length * ADDRESS_SIZE),
    };
  }

  /** As `take`, without giving anything away. */
  get contents(): BatchContents {
    return { count: this.#count, numbers: this.#numbers, addresses: this.#addresses };
  }

  #begin(kind: number): void {
    const at = this.#count * WIDTH;
    if (at === this.#numbers.length) this.#grow();
    this.#count++;
    this.#numbers.fill(ABSENT, at, at + WIDTH);
    this.set(KIND, kind);
  }

  #address(column: number, view: View, direction: number, end: 'src' | 'dst'): void {
    const six = view.family === AF_INET6;
    const at = view.offset(direction + (six ? (end === 'src' ? T.v6Src : T.v6Dst) : end === 'src' ? T.v4Src : T.v4Dst));
    if (at === 0) return;
    if (!six) {
      this.set(column, view.be32(direction + (end === 'src' ? T.v4Src : T.v4Dst)) | 0);
      return;
    }
    this.set(column, IN_BYTES);
    const to = ((this.#count - 1) * ADDRESSES.length + ADDRESS_OF[column]!) * ADDRESS_SIZE;
    for (let i = 0; i < ADDRESS_SIZE; i++) this.#addresses[to + i] = view.bytes[at + i]!;
  }

  #grow(): void {
    const numbers = new Float64Array(2 * this.#numbers.length);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
    const addresses = new Uint8Array(2 * this.#addresses.length);
    addresses.set(this.#addresses);
    this.#addresses = addresses;
  }
}

/** What a row of a batch is. */
export function kindOfRow({ numbers }: BatchContents, row: number): number {
  return numbers[row * WIDTH + KIND]!;
}

/** The key of a row; NaN if it has none. */
export function keyOfRow({ numbers }: BatchContents, row: number): number {
  return numbers[row * WIDTH + KEY]!;
}

/** `seen` and `id` of an open flow. */
export function rowOpen({ numbers }: BatchContents, row: number): readonly [SqliteValue, SqliteValue] {
  return [orNull(numbers[row * WIDTH + SEEN]!), orNull(numbers[row * WIDTH + ID]!)];
}

/** All columns of a row, as SQLite has them. */
export function rowValues(batch: RecordBatch | BatchContents, row: number): SqliteValue[] {
  const values = new Array<SqliteValue>(COLUMNS);
  putRowValues(batch instanceof RecordBatch ? batch.contents : batch, row, ALL_COLUMNS, values, 0);
  return values;
}

const ALL_COLUMNS = RECORD_COLUMNS.map((_, column) => column);

/** The columns that some row of a batch has, as bits by their places. */
export function columnsInUse({ count, numbers }: BatchContents): number {
  let used = 0;
  for (let row = 0; row < count; row++) {
    const at = row * WIDTH;
    for (let column = 0; column < COLUMNS; column++) if (!Number.isNaN(numbers[at + column]!)) used |= 1 << column;
  }
  return used;
}

/** Some columns of a row, into an array, from a place in it on. */
export function putRowValues(
  { numbers, addresses }: BatchContents,
  row: number,
  columns: readonly number[],
  values: SqliteValue[],
  to: number,
): void {
  const at = row * WIDTH;
  for (let n = 0; n < columns.length; n++) {
    const column = columns[n]!;
    const value = numbers[at + column]!;
    if (value === IN_BYTES) {
      const from = (row * ADDRESSES.length + ADDRESS_OF[column]!) * ADDRESS_SIZE;
      values[to + n] = addresses.subarray(from, from + ADDRESS_SIZE);
      continue;
    }
    const high =
      column >= FIRST_COUNTER && column < FIRST_COUNTER + COUNTERS.length ? numbers[at + HIGH + column - FIRST_COUNTER]! : 0;
    values[to + n] = high > 0 ? wide(high, value) : orNull(value);
  }
}

/** A counter of 64 bits; above 2^63 as SQLite has it, with a sign. */
function wide(high: number, low: number): number | bigint {
  return high < 0x200000 ? high * HALF + low : BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
}

/** Where the look-ups of a row are: places of columns, -1 for none. */
const LOOKUPS = INDEXES.map(({ address, port, only }: IndexRow) => ({
  address: COLUMN[address],
  port: port === undefined ? -1 : COLUMN[port],
  only: COLUMN[only ?? address],
}));

/** Tells a filter by which look-ups a row is found. */
export function addLookups({ numbers, addresses }: BatchContents, row: number, filter: BlockFilter): void {
  const at = row * WIDTH;
  for (let index = 0; index < LOOKUPS.length; index++) {
    const { address, port, only } = LOOKUPS[index]!;
    const value = numbers[at + address]!;
    const portValue = port < 0 ? 0 : numbers[at + port]!;
    if (Number.isNaN(numbers[at + only]!) || Number.isNaN(value) || Number.isNaN(portValue)) continue;
    const from = (row * ADDRESSES.length + ADDRESS_OF[address]!) * ADDRESS_SIZE;
    filter.add(
      value === IN_BYTES ? hashOfBytes(index, addresses, from, ADDRESS_SIZE, portValue) : hashOfNumber(index, value, portValue),
    );
  }
}

/** A column of a row, as a number: none of those that may be absent, an address or beyond 32 bits. */
export function numberInRow({ numbers }: BatchContents, row: number, column: number): number {
  return numbers[row * WIDTH + column]!;
}

/** What tells flows of the same time apart. */
const NAMING = [
  COLUMN.src,
  COLUMN.sport,
  COLUMN.dst,
  COLUMN.dport,
  COLUMN.ext,
  COLUMN.eport,
  COLUMN.proto,
  COLUMN.zone,
  COLUMN.ns,
];
const NAMING_COLUMNS = NAMING.map((place) => RECORD_COLUMNS[place]!.name);

/** The name of a flow in a row of `open`, as `RecordBatch.nameOfLast` makes it. */
export function nameOfRow(row: Readonly<Record<string, SqliteValue>>): string {
  return nameOf(NAMING_COLUMNS.map((name) => row[name]!));
}

function nameOf(values: readonly SqliteValue[]): string {
  return values.map((value) => (typeof value === 'object' ? (value?.join('.') ?? '') : String(value))).join(' ');
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

const STATE_SLOTS: readonly (number | undefined)[] = Array.from(
  { length: 256 },
  (_, number) => TRACKERS.find(({ protonum }) => protonum === number)?.slot,
);

/** Slot of the state of a protocol's tracker, if it has states. */
export function stateSlot(proto: number): number | undefined {
  return STATE_SLOTS[proto];
}

/** As the column `zone` has it. */
function zoneOf(view: View): number {
  if (view.has(S.zone)) return view.be16(S.zone);
  if (view.has(ORIGINAL + T.tupleZone)) return ORIGINAL_ONLY + view.be16(ORIGINAL + T.tupleZone);
  if (view.has(REPLY + T.tupleZone)) return REPLY_ONLY + view.be16(REPLY + T.tupleZone);
  return 0;
}
