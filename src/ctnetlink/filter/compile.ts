// FlowFilter → the predicate over a view that decides which flows are wanted.
//
// A condition is true, false, or unknown where the kernel did not tell; a flow is wanted when the whole is true. There is no third value
// at run time: `not` is pushed down to the conditions, and each of them has two predicates, "known and true" and "known and false".

import { be32 } from '../../wire/bytes.js';
import type { AddressBytes } from '../address.js';
import { type Direction, MASTER, ORIGINAL, REPLY, S, T } from '../fields.js';
import { dnatAddress, dnatPort, snatAddress, snatPort } from '../nat.js';
import { gre } from '../protocols/gre.js';
import { PROTOCOLS } from '../protocols/index.js';
import { IPS_EXPECTED } from '../uapi/nf-conntrack-common.js';
import { IPCTNL_MSG_CT_DELETE } from '../uapi/nfnetlink-conntrack.js';
import type { View } from '../view.js';
import { withoutNames } from './address-ranges.js';
import { type FlowCondition, type FlowFilter, MAX_COUNT, type Presence, type TupleEnd, translatedEnd } from './condition.js';
import { NUMBER_FIELDS } from './number-fields.js';
import { type AddressSet, addressSet, holds, ipv6Of, type Ranges, single, singleAddresses } from './sets.js';

/** Whether the flow in the view is wanted. Allocates nothing. */
export type FlowPredicate = (view: View) => boolean;

/** Milliseconds since the epoch. */
export type Now = () => number;

/**
 * Compiles a filter to a predicate; `undefined` when it matches everything.
 * @param now the clock for the age of flows that live: required by a filter with ages
 */
export function compileFilter(filter: FlowFilter, now?: Now): FlowPredicate | undefined {
  const compiled = compile(filter, true, now);
  return compiled === true ? undefined : compiled === false ? () => false : compiled;
}

/** A predicate, or what it would always say. */
type Compiled = FlowPredicate | boolean;

/** "Known to be what is wanted": true or false. */
function compile(filter: FlowFilter, wanted: boolean, now: Now | undefined): Compiled {
  switch (filter.kind) {
    case 'not':
      return compile(filter.of, !wanted, now);
    case 'all':
    case 'any': {
      const parts = inOrderOfCost(filter.of).map((part) => compile(part, wanted, now));
      return (filter.kind === 'all') === wanted ? every(parts) : some(parts);
    }
    default: {
      const holds = truth(filter, now);
      if (wanted) return holds;
      const known = knowledge(filter);
      return known ? (view) => !holds(view) && known(view) : (view) => !holds(view);
    }
  }
}

function every(compiled: readonly Compiled[]): Compiled {
  if (compiled.includes(false)) return false;
  const parts = compiled.filter((part) => part !== true) as FlowPredicate[];
  if (parts.length <= 1) return parts[0] ?? true;
  return (view) => {
    for (let i = 0; i < parts.length; i++) if (!parts[i]!(view)) return false;
    return true;
  };
}

function some(compiled: readonly Compiled[]): Compiled {
  if (compiled.includes(true)) return true;
  const parts = compiled.filter((part) => part !== false) as FlowPredicate[];
  if (parts.length <= 1) return parts[0] ?? false;
  return (view) => {
    for (let i = 0; i < parts.length; i++) if (parts[i]!(view)) return true;
    return false;
  };
}

/** The cheapest first; those that cost the same stay in their order. */
export function inOrderOfCost(filters: readonly FlowFilter[]): readonly FlowFilter[] {
  return filters.length < 2 ? filters : [...filters].sort((a, b) => costOf(a) - costOf(b));
}

/** What it takes to ask, roughly, where reading one number of a few bytes is 2. */
function costOf(filter: FlowFilter): number {
  switch (filter.kind) {
    case 'family':
      return 1;
    case 'number':
      return filter.field === 'protocol' ? 1 : NUMBER_FIELDS[filter.field].absent === 'unknown' ? 3 : 2;
    case 'status':
    case 'mark':
    case 'has':
      return 2;
    case 'port':
      return filter.ends.length === 1 && single(filter.ranges) !== undefined ? 2 : 3;
    case 'address':
      return filter.ends.length === 1 && singleAddresses(filter.set, 1) ? 2 : 6;
    case 'state':
      return 3;
    case 'counter':
    case 'label':
      return 4;
    case 'nat':
    case 'time':
      return 5;
    case 'natTo':
    case 'age':
      return 6;
    case 'text':
      return 8;
    case 'not':
      return costOf(filter.of);
    case 'all':
    case 'any':
      return 10;
  }
}

/** Known, and true. */
function truth(c: FlowCondition, now: Now | undefined): FlowPredicate {
  switch (c.kind) {
    case 'family':
      return (view) => view.family === c.family;
    case 'number':
      return numberIn(
        NUMBER_FIELDS[c.field].slot,
        NUMBER_FIELDS[c.field].size,
        c.ranges,
        NUMBER_FIELDS[c.field].absent === 'zero',
      );
    case 'address':
      return oneOf(c.ends.map((end) => addressIn(end, c.set)));
    case 'port':
      return oneOf(c.ends.map((end) => portIn(end, c.of, c.ranges)));
    case 'state':
      return oneOf(
        TRACKERS.flatMap(({ slot, states }) => {
          const wanted = c.names.map((name) => states.indexOf(name)).filter((state) => state >= 0);
          return wanted.length === 0 ? [] : [(view: View) => view.has(slot) && wanted.includes(view.u8(slot))];
        }),
      );
    case 'mark': {
      const only = single(c.ranges);
      return only === undefined
        ? (view) => holds(c.ranges, (view.be32(S.mark) & c.mask) >>> 0)
        : (view) => (view.be32(S.mark) & c.mask) >>> 0 === only;
    }
    case 'status': {
      const mask = (1 << c.bit) >>> 0;
      return (view) => (view.be32(S.status) & mask) !== 0;
    }
    case 'label': {
      const words = labelWords(c.bits);
      return (view) => {
        for (let i = 0; i < words.length; i++) if ((view.labelWord(S.labels, i) & words[i]!) !== 0) return true;
        return false;
      };
    }
    case 'nat':
      return c.nat === 'src' ? isSourceNat : isDestinationNat;
    case 'natTo': {
      const translated = c.nat === 'src' ? isSourceNat : isDestinationNat;
      const end = translatedEnd(c.nat);
      const to = c.set ? addressIn(end, c.set) : undefined;
      const slot = portSlot(end);
      const ports = c.ports ? numberIn(slot, 2, c.ports, false) : undefined;
      return (view) => translated(view) && (!to || to(view)) && (!ports || ports(view));
    }
    case 'counter':
      return counterIn(c);
    case 'age': {
      if (!now) throw new Error('a filter with ages needs a clock');
      return (view) => {
        if (!view.has(S.timestampStart)) return false;
        const start = wide(view, S.timestampStart);
        const end = view.has(S.timestampStop) ? wide(view, S.timestampStop) / 1e6 : now();
        return holds(c.ranges, Math.max(0, Math.floor(end - start / 1e6)));
      };
    }
    case 'time': {
      const slot = c.of === 'start' ? S.timestampStart : S.timestampStop;
      const { from, before } = c;
      // Compared as two halves: nanoseconds are more than a double holds.
      const [fromHigh, fromLow] = halves(from ?? 0n);
      const [beforeHigh, beforeLow] = halves(before ?? 0n);
      return (view) =>
        view.has(slot) &&
        (from === undefined || !isBelow(view, slot, fromHigh, fromLow)) &&
        (before === undefined || isBelow(view, slot, beforeHigh, beforeLow));
    }
    case 'text':
      return oneOf(c.values.map((value) => textIs(S[c.field], value)));
    case 'has':
      return PRESENT[c.what];
  }
}

/** Whether the answer to a condition is known; `undefined`: it always is. What is true is known. */
function knowledge(c: FlowCondition): FlowPredicate | undefined {
  switch (c.kind) {
    case 'number': {
      const { slot, absent, protonum } = NUMBER_FIELDS[c.field];
      if (absent !== 'unknown') return undefined;
      if (protonum === undefined) return (view) => view.has(slot);
      return (view) => view.has(slot) || view.u8(PROTONUM) !== protonum;
    }
    case 'address':
    case 'port':
      if (!c.ends.some(({ side }) => side === 'master')) return undefined;
      return (view) => view.has(MASTER + T.protonum) || (view.be32(S.status) & IPS_EXPECTED) === 0;
    case 'state':
      return (view) => {
        const protonum = view.u8(PROTONUM);
        for (let i = 0; i < TRACKERS.length; i++) if (TRACKERS[i]!.protonum === protonum) return view.has(TRACKERS[i]!.slot);
        return true;
      };
    case 'label':
      return (view) => view.has(S.labels) || view.isWhole;
    case 'counter': {
      const slots = counterSlots(c);
      return slots.length === 1 ? (view) => view.has(slots[0]!) : (view) => view.has(slots[0]!) && view.has(slots[1]!);
    }
    case 'age':
      return (view) => view.has(S.timestampStart);
    case 'time': {
      const slot = c.of === 'start' ? S.timestampStart : S.timestampStop;
      return (view) => view.has(slot);
    }
    case 'text': {
      const slot = S[c.field];
      if (c.field === 'helper') return (view) => view.has(slot) || view.isWhole || (view.type & 0xff) !== IPCTNL_MSG_CT_DELETE;
      return (view) => view.has(slot);
    }
    case 'family':
    case 'mark':
    case 'status':
    case 'nat':
    case 'natTo':
    case 'has':
      return undefined;
  }
}

/** Divides a filter in two, both of which must hold: what says the same as long as a flow lives, and the rest. */
export function divideByConstancy(filter: FlowFilter): {
  readonly scope: FlowFilter | undefined;
  readonly rest: FlowFilter | undefined;
} {
  const parts = filter.kind === 'all' ? filter.of : [filter];
  return { scope: all(parts.filter(isConstant)), rest: all(parts.filter((part) => !isConstant(part))) };
}

function all(of: readonly FlowFilter[]): FlowFilter | undefined {
  return of.length < 2 ? of[0] : { kind: 'all', of };
}

/** Whether a flow that is wanted once is wanted as long as it lives. */
export function isConstant(filter: FlowFilter): boolean {
  switch (filter.kind) {
    case 'all':
    case 'any':
      return filter.of.every(isConstant);
    case 'not':
      return isConstant(filter.of);
    case 'number':
      return NUMBER_FIELDS[filter.field].constant;
    case 'status':
      return CONSTANT_BITS.has(filter.bit);
    case 'time':
      return filter.of === 'start';
    case 'has':
      return CONSTANT_PRESENCES.has(filter.what);
    case 'family':
    case 'address':
    case 'port':
    case 'nat':
    case 'natTo':
      return true;
    case 'state':
    case 'mark':
    case 'label':
    case 'counter':
    case 'age':
    case 'text':
      return false;
  }
}

/** EXPECTED and CONFIRMED. */
const CONSTANT_BITS: ReadonlySet<number> = new Set([0, 3]);
const CONSTANT_PRESENCES: ReadonlySet<Presence> = new Set(['port', 'key', 'zone', 'id', 'master']);

const PROTONUM = ORIGINAL + T.protonum;
const BASE: Readonly<Record<TupleEnd['side'], Direction>> = { original: ORIGINAL, reply: REPLY, master: MASTER };

/** Protocols whose tracker has states. */
export const TRACKERS = PROTOCOLS.flatMap(({ number, state, states }) =>
  state && states ? [{ protonum: number, slot: S[state as keyof typeof S], states: states as readonly string[] }] : [],
);

function isSourceNat(view: View): boolean {
  return snatAddress(view) || snatPort(view);
}

function isDestinationNat(view: View): boolean {
  return dnatAddress(view) || dnatPort(view);
}

const PRESENT: Readonly<Record<Presence, FlowPredicate>> = {
  port: (view) => view.has(ORIGINAL + T.sport) && view.u8(PROTONUM) !== gre.number,
  key: (view) => view.has(ORIGINAL + T.sport) && view.u8(PROTONUM) === gre.number,
  state: (view) => TRACKERS.some(({ slot }) => view.has(slot)),
  mark: (view) => view.has(S.mark),
  label: (view) => {
    for (let i = 0; i < view.length(S.labels) >> 2; i++) if (view.labelWord(S.labels, i) !== 0) return true;
    return false;
  },
  helper: (view) => view.has(S.helper),
  zone: (view) => view.has(S.zone) || view.has(ORIGINAL + T.tupleZone) || view.has(REPLY + T.tupleZone),
  bytes: (view) => view.has(S.bytesOriginal),
  packets: (view) => view.has(S.packetsOriginal),
  start: (view) => view.has(S.timestampStart),
  stop: (view) => view.has(S.timestampStop),
  timeout: (view) => view.has(S.timeout),
  id: (view) => view.has(S.id),
  use: (view) => view.has(S.use),
  secmark: (view) => view.has(S.secmark),
  secctx: (view) => view.has(S.secctx),
  master: (view) => view.has(MASTER + T.protonum),
  seqadj: (view) => view.any32x3(S.seqAdjOriginalPos) || view.any32x3(S.seqAdjReplyPos),
  synproxy: (view) => view.any32x3(S.synproxyIsn),
};

function oneOf(parts: readonly FlowPredicate[]): FlowPredicate {
  const compiled = some(parts);
  return typeof compiled === 'boolean' ? () => compiled : compiled;
}

/** `zero`: what is absent is 0. */
function numberIn(slot: number, size: 1 | 2 | 4, ranges: Ranges, zero: boolean): FlowPredicate {
  const only = single(ranges);
  const always = zero && holds(ranges, 0);
  if (only !== undefined)
    switch (size) {
      case 1:
        return (view) => view.u8(slot) === only && (always || view.has(slot));
      case 2:
        return (view) => view.be16(slot) === only && (always || view.has(slot));
      case 4:
        return (view) => view.be32(slot) === only && (always || view.has(slot));
    }
  if (size === 2 && ranges.length > 2 * LINEAR) {
    const bits = bitmapOf(ranges);
    return (view) => {
      const value = view.be16(slot);
      return ((bits[value >> 5]! >>> (value & 31)) & 1) === 1 && (always || view.has(slot));
    };
  }
  switch (size) {
    case 1:
      return (view) => holds(ranges, view.u8(slot)) && (always || view.has(slot));
    case 2:
      return (view) => holds(ranges, view.be16(slot)) && (always || view.has(slot));
    case 4:
      return (view) => holds(ranges, view.be32(slot)) && (always || view.has(slot));
  }
}

/** So many ranges are compared one after the other. */
const LINEAR = 4;

function bitmapOf(ranges: Ranges): Int32Array {
  const bits = new Int32Array(2048);
  for (let i = 0; i < ranges.length; i += 2)
    for (let n = ranges[i]!; n <= ranges[i + 1]!; n++) bits[n >> 5] = bits[n >> 5]! | (1 << (n & 31));
  return bits;
}

function portSlot({ side, end }: TupleEnd): number {
  return BASE[side] + (end === 'src' ? T.sport : T.dport);
}

function portIn(end: TupleEnd, of: 'port' | 'key', ranges: Ranges): FlowPredicate {
  const protonum = BASE[end.side] + T.protonum;
  const inRanges = numberIn(portSlot(end), 2, ranges, false);
  return of === 'key'
    ? (view) => inRanges(view) && view.u8(protonum) === gre.number
    : (view) => inRanges(view) && view.u8(protonum) !== gre.number;
}

/** Whether the address of one end is in the set, or its address and port are. */
function addressIn(end: TupleEnd, named: AddressSet): FlowPredicate {
  const set = withoutNames(named);
  const base = BASE[end.side];
  const v4 = base + (end.end === 'src' ? T.v4Src : T.v4Dst);
  const v6 = base + (end.end === 'src' ? T.v6Src : T.v6Dst);
  const parts: FlowPredicate[] = [];
  if (set.v4.length > 0) parts.push(ipv4In(v4, set.v4));
  if (set.v6.length > 0) parts.push(ipv6In(v6, wordsOf(set.v6)));
  for (const { address, mask } of set.masked) parts.push(maskedIs(address.length === 4 ? v4 : v6, address, mask));
  const port = portSlot(end);
  for (const socket of set.sockets) {
    const isAddress = addressIn(end, addressSet(socket.address));
    parts.push((view) => view.be16(port) === socket.port && view.has(port) && isAddress(view));
  }
  return oneOf(parts);
}

function ipv4In(slot: number, ranges: Ranges): FlowPredicate {
  const only = single(ranges);
  if (only !== undefined) return (view) => view.be32(slot) === only && view.has(slot);
  if (ranges.length <= 2 * LINEAR) return (view) => view.has(slot) && holds(ranges, view.be32(slot));
  const sorted = Float64Array.from(ranges);
  return (view) => {
    if (!view.has(slot)) return false;
    const value = view.be32(slot);
    let low = 0;
    let high = sorted.length >> 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value > sorted[2 * middle + 1]!) low = middle + 1;
      else high = middle;
    }
    return low < sorted.length >> 1 && value >= sorted[2 * low]!;
  };
}

/** Each address as four words. */
function wordsOf(ranges: readonly bigint[]): Uint32Array {
  const words = new Uint32Array(4 * ranges.length);
  for (const [i, value] of ranges.entries()) {
    const bytes = ipv6Of(value);
    for (let word = 0; word < 4; word++) words[4 * i + word] = be32(bytes, 4 * word);
  }
  return words;
}

function ipv6In(slot: number, words: Uint32Array): FlowPredicate {
  const count = words.length >> 3;
  return (view) => {
    const at = view.offset(slot);
    if (at === 0) return false;
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareIpv6(view, at, words, 8 * middle + 4) > 0) low = middle + 1;
      else high = middle;
    }
    return low < count && compareIpv6(view, at, words, 8 * low) >= 0;
  };
}

function compareIpv6(view: View, at: number, words: Uint32Array, index: number): number {
  for (let i = 0; i < 4; i++) {
    const word = view.data.getUint32(at + 4 * i, false);
    const other = words[index + i]!;
    if (word !== other) return word < other ? -1 : 1;
  }
  return 0;
}

function maskedIs(slot: number, address: AddressBytes, mask: AddressBytes): FlowPredicate {
  const size = address.length;
  return (view) => {
    const at = view.offset(slot);
    if (at === 0) return false;
    for (let i = 0; i < size; i++) if ((view.bytes[at + i]! & mask[i]!) !== address[i]) return false;
    return true;
  };
}

function labelWords(bits: readonly number[]): Int32Array {
  const words = new Int32Array(Math.ceil((Math.max(0, ...bits) + 1) / 32));
  for (const bit of bits) words[bit >> 5]! |= 1 << (bit & 31);
  return words;
}

type Counter = Extract<FlowCondition, { kind: 'counter' }>;

function counterSlots({ of, side }: Counter): readonly number[] {
  const [original, reply] =
    of === 'bytes' ? ([S.bytesOriginal, S.bytesReply] as const) : ([S.packetsOriginal, S.packetsReply] as const);
  return side === undefined ? [original, reply] : [side === 'original' ? original : reply];
}

/**
 * Rounding is monotone and the bounds are below 2^53, so comparing doubles is exact. MAX_COUNT stands for all that is greater, too:
 * `bytes > 5` has no end.
 */
function counterIn(c: Counter): FlowPredicate {
  const [first, second] = counterSlots(c);
  const { ranges } = c;
  if (second === undefined) return (view) => view.has(first!) && holds(ranges, Math.min(wide(view, first!), MAX_COUNT));
  return (view) =>
    view.has(first!) && view.has(second) && holds(ranges, Math.min(wide(view, first!) + wide(view, second), MAX_COUNT));
}

/** A 64-bit number as a double. */
function wide(view: View, slot: number): number {
  return (view.high32(slot) >>> 0) * 0x1_0000_0000 + (view.low32(slot) >>> 0);
}

function halves(value: bigint): readonly [number, number] {
  return [Number(value >> 32n), Number(value & 0xffffffffn)];
}

function isBelow(view: View, slot: number, high: number, low: number): boolean {
  const own = view.high32(slot) >>> 0;
  return own !== high ? own < high : view.low32(slot) >>> 0 < low;
}

function textIs(slot: number, text: string): FlowPredicate {
  const wanted = new TextEncoder().encode(text);
  return (view) => {
    const at = view.offset(slot);
    if (at === 0 || view.stringLength(slot) !== wanted.length) return false;
    for (let i = 0; i < wanted.length; i++) if (view.bytes[at + i] !== wanted[i]) return false;
    return true;
  };
}
