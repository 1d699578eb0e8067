// What flows can be sorted by, a row each. Amounts come largest first; addresses, ports and names in ascending order. What is not known
// comes last in either direction.

import { ORIGINAL, S, T } from '../ctnetlink/fields.js';
import { TRACKERS } from '../ctnetlink/filter/compile.js';
import { createFlowView, type View } from '../ctnetlink/view.js';
import type { TimeSlice } from '../library/index.js';
import { be32 } from '../wire/bytes.js';
import { BLIND, type FlowColumns, RATED, READ } from './flow-columns.js';
import type { FlowStore } from './flow-store.js';
import { largestOf } from './largest.js';
import type { FlowSort } from './meter-names.js';
import { descending, floatWord, sortByWords } from './radix-sort.js';

/** Writes the words of a flow. `view` has its message, if the row wants one. */
interface SortRow {
  readonly words: number;
  /** Largest first, unless reversed. */
  readonly amount: boolean;
  readonly message: boolean;
  /** @returns false when the value is not known */
  readonly fill: (columns: FlowColumns, slot: number, words: Uint32Array, view: View, now: number) => boolean;
}

const HALF = 4294967296;

function byRate(value: (columns: FlowColumns, slot: number) => number): SortRow {
  return {
    words: 1,
    amount: true,
    message: false,
    fill: (columns, slot, words) => {
      words[0] = floatWord(value(columns, slot));
      return (columns.flags[slot]! & (RATED | BLIND)) === RATED;
    },
  };
}

function byCounter(value: (columns: FlowColumns, slot: number) => number): SortRow {
  return {
    words: 2,
    amount: true,
    message: false,
    fill: (columns, slot, words) => {
      const sum = value(columns, slot);
      words[0] = Math.floor(sum / HALF);
      words[1] = sum % HALF;
      return (columns.flags[slot]! & READ) !== 0;
    },
  };
}

function byNumber(slot: number, read: (view: View) => number): SortRow {
  return {
    words: 1,
    amount: false,
    message: true,
    fill: (_, __, words, view) => {
      words[0] = read(view);
      return view.has(slot);
    },
  };
}

function byAddress(v4: number, v6: number): SortRow {
  return {
    words: 5,
    amount: false,
    message: true,
    fill: (_, __, words, view) => {
      words.fill(0, 0, 5);
      words[0] = view.family;
      if (view.has(v4)) words[4] = view.be32(v4);
      else if (view.has(v6)) for (let w = 0; w < 4; w++) words[1 + w] = be32(view.bytes, view.offset(v6) + 4 * w);
      else return false;
      return true;
    },
  };
}

const SORTS = {
  average: byRate((c, s) => c.averageOriginal[s]! + c.averageReply[s]!),
  averageOriginal: byRate((c, s) => c.averageOriginal[s]!),
  averageReply: byRate((c, s) => c.averageReply[s]!),
  rate: byRate((c, s) => c.rateOriginal[s]! + c.rateReply[s]!),
  rateOriginal: byRate((c, s) => c.rateOriginal[s]!),
  rateReply: byRate((c, s) => c.rateReply[s]!),
  packetRate: byRate((c, s) => c.packetRate[s]!),
  bytes: byCounter((c, s) => c.bytesOriginal[s]! + c.bytesReply[s]!),
  bytesOriginal: byCounter((c, s) => c.bytesOriginal[s]!),
  bytesReply: byCounter((c, s) => c.bytesReply[s]!),
  packets: byCounter((c, s) => c.packetsOriginal[s]! + c.packetsReply[s]!),
  packetsOriginal: byCounter((c, s) => c.packetsOriginal[s]!),
  packetsReply: byCounter((c, s) => c.packetsReply[s]!),
  age: {
    words: 1,
    amount: true,
    message: false,
    fill: (columns, slot, words) => {
      words[0] = descending(columns.born[slot]!);
      return true;
    },
  },
  idle: {
    words: 1,
    amount: true,
    message: false,
    fill: (columns, slot, words, _, now) => {
      words[0] = (now - columns.moved[slot]!) >>> 0;
      return (columns.flags[slot]! & READ) !== 0;
    },
  },
  timeout: { ...byNumber(S.timeout, (view) => view.be32(S.timeout)), amount: true },
  src: byAddress(ORIGINAL + T.v4Src, ORIGINAL + T.v6Src),
  dst: byAddress(ORIGINAL + T.v4Dst, ORIGINAL + T.v6Dst),
  sport: byNumber(ORIGINAL + T.sport, (view) => view.be16(ORIGINAL + T.sport)),
  dport: byNumber(ORIGINAL + T.dport, (view) => view.be16(ORIGINAL + T.dport)),
  protocol: {
    words: 1,
    amount: false,
    message: false,
    fill: (columns, slot, words) => {
      words[0] = columns.protonum[slot]!;
      return true;
    },
  },
  state: {
    words: 1,
    amount: false,
    message: true,
    fill: (columns, slot, words, view) => {
      const tracker = TRACKERS.find((row) => view.has(row.slot));
      words[0] = tracker ? (columns.protonum[slot]! << 8) | view.u8(tracker.slot) : 0;
      return tracker !== undefined;
    },
  },
  mark: { ...byNumber(S.mark, (view) => view.be32(S.mark)), fill: (_, __, words, view) => known(words, view.be32(S.mark)) },
  zone: { ...byNumber(S.zone, (view) => view.be16(S.zone)), fill: (_, __, words, view) => known(words, view.be16(S.zone)) },
  netns: {
    words: 1,
    amount: false,
    message: false,
    fill: (columns, slot, words) => known(words, columns.table[slot]!),
  },
} as const satisfies Record<FlowSort, SortRow>;

/** Flows between two looks at the clock. */
const AT_ONCE = 1024;
/** Where the wanted are fewer than one in so many, all others stay unsorted. */
const WORTH_A_HEAP = 8;

/** Slots in the order of a sort: all of them, or at least the first `most`. */
export async function sortFlows(
  store: FlowStore,
  slots: Int32Array,
  sort: FlowSort,
  reverse: boolean,
  slice: TimeSlice,
  most = slots.length,
): Promise<Int32Array> {
  const first = most * WORTH_A_HEAP < slots.length ? await firstFlows(store, slots, sort, reverse, slice, most) : undefined;
  return first ?? allFlows(store, slots, sort, reverse, slice);
}

/** The first flows of an order by one word; `undefined` for others, and where the value of too few is known. */
async function firstFlows(
  store: FlowStore,
  slots: Int32Array,
  sort: FlowSort,
  reverse: boolean,
  slice: TimeSlice,
  most: number,
): Promise<Int32Array | undefined> {
  const { amount, message, words: width, fill }: SortRow = SORTS[sort];
  if (width !== 1 || message) return undefined;
  const sign = amount !== reverse ? 1 : -1;
  const { columns, now } = store;
  const view = createFlowView();
  const own = new Uint32Array(1);
  const values = new Float64Array(slots.length);
  for (let n = 0; n < slots.length; n++) {
    const slot = slots[n]!;
    values[n] = columns.record[slot] !== 0 && fill(columns, slot, own, view, now) ? sign * own[0]! : Number.NaN;
    const pause = n % AT_ONCE === AT_ONCE - 1 ? slice.pause() : undefined;
    if (pause) await pause;
  }
  const rows = largestOf(values, most);
  return rows.length < most ? undefined : rows.map((row) => slots[row]!);
}

async function allFlows(
  store: FlowStore,
  slots: Int32Array,
  sort: FlowSort,
  reverse: boolean,
  slice: TimeSlice,
): Promise<Int32Array> {
  const { amount, message, words: width, fill }: SortRow = SORTS[sort];
  const down = amount !== reverse;
  const { columns, now } = store;
  const view = createFlowView();
  const words = Array.from({ length: width }, () => new Uint32Array(slots.length));
  const own = new Uint32Array(width);
  const order = new Int32Array(slots.length);
  // What is known from the front, what is not from the back.
  const rows = new Int32Array(slots.length);
  let known = 0;
  let unknown = 0;
  for (let n = 0; n < slots.length; n++) {
    const slot = slots[n]!;
    if ((!message || store.read(slot, view)) && columns.record[slot] !== 0 && fill(columns, slot, own, view, now)) {
      for (let w = 0; w < width; w++) words[w]![known] = down ? descending(own[w]!) : own[w]!;
      rows[known++] = slot;
    } else order[slots.length - ++unknown] = slot;
    const pause = n % AT_ONCE === AT_ONCE - 1 ? slice.pause() : undefined;
    if (pause) await pause;
  }
  order.subarray(known).reverse();
  const sorted = sortByWords(words, known);
  for (let n = 0; n < known; n++) order[n] = rows[sorted[n]!]!;
  return order;
}

function known(words: Uint32Array, value: number): boolean {
  words[0] = value;
  return true;
}
