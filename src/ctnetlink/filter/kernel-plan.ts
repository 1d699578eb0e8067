// The part of a FlowFilter that the kernel can do before it sends anything. It is a pre-filter only: it may let more through
// than the filter wants, never less, and every entry is checked again. So a kernel that ignores a condition (older ones do, in
// silence) costs time, not answers. What the kernel gets wrong is never sent. Source: docs/kernel.md 4.

import type { MessageWriter } from '../../wire/message.js';
import { type AddressBytes, familyOf } from '../address.js';
import { putTuple, type TupleSpec } from '../encode.js';
import { type Direction, ORIGINAL, REPLY, S, T } from '../fields.js';
import { gre } from '../protocols/gre.js';
import { ICMP_INVERSE, icmp } from '../protocols/icmp.js';
import { ICMPV6_INVERSE, icmpv6 } from '../protocols/icmpv6.js';
import { PROTOCOLS, protocolByNumber } from '../protocols/index.js';
import { tcp } from '../protocols/tcp.js';
import { udp } from '../protocols/udp.js';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../uapi/in.js';
import { IPS_DST_NAT_DONE, IPS_EXPECTED, IPS_SRC_NAT_DONE } from '../uapi/nf-conntrack-common.js';
import {
  CTA_FILTER,
  CTA_FILTER_F_CTA_IP_DST,
  CTA_FILTER_F_CTA_IP_SRC,
  CTA_FILTER_F_CTA_PROTO_DST_PORT,
  CTA_FILTER_F_CTA_PROTO_ICMP_CODE,
  CTA_FILTER_F_CTA_PROTO_ICMP_ID,
  CTA_FILTER_F_CTA_PROTO_ICMP_TYPE,
  CTA_FILTER_F_CTA_PROTO_ICMPV6_CODE,
  CTA_FILTER_F_CTA_PROTO_ICMPV6_ID,
  CTA_FILTER_F_CTA_PROTO_ICMPV6_TYPE,
  CTA_FILTER_F_CTA_PROTO_NUM,
  CTA_FILTER_F_CTA_PROTO_SRC_PORT,
  CTA_FILTER_ORIG_FLAGS,
  CTA_FILTER_REPLY_FLAGS,
  CTA_MARK,
  CTA_MARK_MASK,
  CTA_STATUS,
  CTA_STATUS_MASK,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_REPLY,
  CTA_ZONE,
} from '../uapi/nfnetlink-conntrack.js';
import type { View } from '../view.js';
import { mayHold } from './address-ranges.js';
import {
  addressIs,
  type FlowCondition,
  type FlowFilter,
  markIs,
  type NumberField,
  numberIs,
  portIs,
  type Side,
  statusIs,
  type TupleEnd,
  translatedEnd,
} from './condition.js';
import type { FilterLeaf } from './normal.js';
import { NUMBER_FIELDS } from './number-fields.js';
import { type AddressSet, type Ranges, single, singleAddresses } from './sets.js';

type MutableTuple = { -readonly [K in keyof TupleSpec]: TupleSpec[K] };

/** What every wanted entry meets: the top level of a filter, as far as it is a conjunction. */
export function requiredLeaves(filter: FlowFilter, wanted = true): readonly FilterLeaf[] {
  switch (filter.kind) {
    case 'not':
      return requiredLeaves(filter.of, !wanted);
    case 'all':
    case 'any':
      if ((filter.kind === 'all') !== wanted && filter.of.length !== 1) return [];
      return filter.of.flatMap((part) => requiredLeaves(part, wanted));
    default:
      return [{ condition: filter, wanted }];
  }
}

/** What a dump can be asked for: entries that have all of this. */
export interface Atoms {
  /** AF_UNSPEC: of both. */
  readonly family: number;
  readonly protonum: number | undefined;
  /** Addresses, ports and ICMP fields, without protocol and zone. */
  readonly original: TupleSpec;
  readonly reply: TupleSpec;
  readonly mark: { readonly value: number; readonly mask: number };
  /** Status bits that are set, and such that are clear. */
  readonly set: number;
  readonly clear: number;
  /** 0: whatever it is. The kernel compares it with the zone of either direction. */
  readonly zone: number;
}

/** Collects the atoms of a conjunction; whatever contradicts what is there already makes it impossible. */
class AtomDraft implements Atoms {
  family = AF_UNSPEC;
  protonum: number | undefined;
  readonly original: MutableTuple = {};
  readonly reply: MutableTuple = {};
  mark = { value: 0, mask: 0 };
  set = 0;
  clear = 0;
  zone = 0;
  possible = true;

  /** AF_INET or AF_INET6; AF_UNSPEC says nothing. */
  requireFamily(family: number): void {
    if (family === AF_UNSPEC) return;
    if (this.family !== AF_UNSPEC && this.family !== family) this.possible = false;
    this.family = family;
  }

  requireProtocol(protonum: number): void {
    if (this.protonum !== undefined && this.protonum !== protonum) this.possible = false;
    this.protonum = protonum;
  }

  requireMark(value: number, mask: number): void {
    const common = this.mark.mask & mask;
    if ((this.mark.value & common) !== (value & common)) this.possible = false;
    this.mark = { value: (this.mark.value | value) >>> 0, mask: (this.mark.mask | mask) >>> 0 };
  }

  requireStatus(set: number, clear: number): void {
    this.set = (this.set | set) >>> 0;
    this.clear = (this.clear | clear) >>> 0;
    if ((this.set & this.clear) !== 0) this.possible = false;
  }

  requireAddress({ side, end }: TupleEnd, set: AddressSet): void {
    if (side === 'master') return;
    const addresses = singleAddresses(set, 1);
    const socket = isOneSocket(set) ? set.sockets[0] : undefined;
    const address = addresses?.[0] ?? socket?.address;
    if (!address) return;
    this.requireTuple(side, { [end]: address });
    if (socket) this.requirePort({ side, end }, [socket.port, socket.port]);
  }

  requirePort({ side, end }: TupleEnd, ranges: Ranges): void {
    const port = single(ranges);
    if (side === 'master' || port === undefined) return;
    this.requireTuple(side, { [end === 'src' ? 'sport' : 'dport']: port });
  }

  /** Members that are absent say nothing. */
  requireTuple(side: Side, tuple: TupleSpec): void {
    const before = this[side];
    for (const end of ['src', 'dst'] as const) {
      const address = tuple[end];
      if (!address) continue;
      if (before[end] && !sameAddress(before[end], address)) this.possible = false;
      before[end] = address;
    }
    for (const member of ['sport', 'dport', 'icmpType', 'icmpCode', 'icmpId'] as const) {
      const value = tuple[member];
      if (value === undefined) continue;
      if (before[member] !== undefined && before[member] !== value) this.possible = false;
      before[member] = value;
    }
  }
}

function isOneSocket({ v4, v6, masked, sockets, names }: AddressSet): boolean {
  return sockets.length === 1 && v4.length + v6.length + masked.length + names.length === 0;
}

export function sameAddress(a: AddressBytes, b: AddressBytes): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** What all entries that the filter wants have; `undefined`: it wants nothing. */
export function atomsOf(filter: FlowFilter): Atoms | undefined {
  if (filter.kind === 'any' && filter.of.length === 0) return undefined;
  const draft = new AtomDraft();
  for (const { condition, wanted } of requiredLeaves(filter))
    if (wanted) require(draft, condition);
    else exclude(draft, condition);
  return draft.possible ? draft : undefined;
}

/** What all entries have that have both; `undefined`: there are none. */
export function bothOf(a: Atoms, b: Atoms): Atoms | undefined {
  const draft = new AtomDraft();
  for (const { family, protonum, original, reply, mark, set, clear, zone } of [a, b]) {
    draft.requireFamily(family);
    if (protonum !== undefined) draft.requireProtocol(protonum);
    draft.requireTuple('original', original);
    draft.requireTuple('reply', reply);
    draft.requireMark(mark.value, mark.mask);
    draft.requireStatus(set, clear);
    if (draft.zone === 0) draft.zone = zone;
  }
  return draft.possible ? draft : undefined;
}

/** Adds what a condition demands. */
function require(draft: AtomDraft, c: FlowCondition): void {
  switch (c.kind) {
    case 'family':
      draft.requireFamily(c.family);
      return;
    case 'number': {
      const { protonum } = NUMBER_FIELDS[c.field];
      if (protonum !== undefined) draft.requireProtocol(protonum);
      const value = single(c.ranges);
      if (value === undefined) return;
      if (c.field === 'protocol') draft.requireProtocol(value);
      else if (isZone(c.field)) draft.zone = draft.zone === 0 ? value : draft.zone;
      else {
        const member = ICMP_FIELDS[c.field];
        if (member) draft.requireTuple('original', { [member]: value });
      }
      return;
    }
    case 'address':
      draft.requireFamily(familyOfSet(c.set));
      if (c.ends.every(({ side }) => side === 'master')) draft.requireStatus(IPS_EXPECTED, 0);
      if (c.ends.length === 1) draft.requireAddress(c.ends[0]!, c.set);
      return;
    case 'port':
      if (c.ends.every(({ side }) => side === 'master')) draft.requireStatus(IPS_EXPECTED, 0);
      else if (c.of === 'key' && c.ends.every(({ side }) => side !== 'master')) draft.requireProtocol(gre.number);
      if (c.ends.length === 1) draft.requirePort(c.ends[0]!, c.ranges);
      return;
    case 'state': {
      const trackers = PROTOCOLS.filter(({ states }) => states?.some((name) => c.names.includes(name)));
      if (trackers.length === 1) draft.requireProtocol(trackers[0]!.number);
      return;
    }
    case 'mark': {
      const common = commonBits(c.ranges);
      draft.requireMark((common.value & c.mask) >>> 0, (common.mask & c.mask) >>> 0);
      return;
    }
    case 'status':
      draft.requireStatus((1 << c.bit) >>> 0, 0);
      return;
    case 'nat':
    case 'natTo': {
      draft.requireStatus(c.nat === 'src' ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE, 0);
      if (c.kind === 'nat') return;
      const end = translatedEnd(c.nat);
      if (c.set) {
        draft.requireFamily(familyOfSet(c.set));
        draft.requireAddress(end, c.set);
      }
      if (c.ports) draft.requirePort(end, c.ports);
      return;
    }
    case 'has':
      if (c.what === 'master') draft.requireStatus(IPS_EXPECTED, 0);
      return;
    case 'label':
    case 'counter':
    case 'age':
    case 'time':
    case 'text':
      return; // nothing that a dump can be asked for
    default:
      c satisfies never;
  }
}

/** Adds what the negation of a condition demands. */
function exclude(draft: AtomDraft, c: FlowCondition): void {
  switch (c.kind) {
    case 'family':
      draft.requireFamily(c.family === AF_INET ? AF_INET6 : AF_INET);
      return;
    case 'status':
      draft.requireStatus(0, (1 << c.bit) >>> 0);
      return;
    case 'number':
    case 'address':
    case 'port':
    case 'state':
    case 'mark':
    case 'label':
    case 'nat':
    case 'natTo':
    case 'counter':
    case 'age':
    case 'time':
    case 'text':
    case 'has':
      return; // the kernel knows no negation
    default:
      c satisfies never;
  }
}

/** The kernel's zone 0 leaves out entries that have a zone in one direction only, which is less than is wanted: 0 is never sent. */
function isZone(field: NumberField): boolean {
  return field === 'zone' || field === 'originalZone' || field === 'replyZone';
}

const ICMP_FIELDS: { readonly [field in NumberField]?: 'icmpType' | 'icmpCode' | 'icmpId' } = {
  icmpType: 'icmpType',
  icmpCode: 'icmpCode',
  icmpId: 'icmpId',
  icmpv6Type: 'icmpType',
  icmpv6Code: 'icmpCode',
  icmpv6Id: 'icmpId',
};

/** The only family of which a set may hold addresses; AF_UNSPEC for both. */
export function familyOfSet(set: AddressSet): number {
  const [ipv4, ipv6] = [mayHold(set, 4), mayHold(set, 16)];
  return ipv4 === ipv6 ? AF_UNSPEC : ipv4 ? AF_INET : AF_INET6;
}

/** The bits in which all numbers of the ranges agree. */
export function commonBits(ranges: Ranges): { readonly value: number; readonly mask: number } {
  const first = ranges[0]!;
  let mask = 0xffffffff;
  for (let i = 0; i < ranges.length; i += 2) {
    const differ = (ranges[i]! ^ ranges[i + 1]!) >>> 0;
    // From the highest bit in which the bounds differ down, all bits take both values.
    if (differ !== 0) mask &= ~(2 ** (32 - Math.clz32(differ)) - 1);
    mask &= ~(ranges[i]! ^ first);
  }
  return { value: (first & mask) >>> 0, mask: mask >>> 0 };
}

/** The family that every wanted entry has; AF_UNSPEC when both may match. */
export function requiredFamily(filter: FlowFilter): number {
  return atomsOf(filter)?.family ?? AF_UNSPEC;
}

/** The protocol that every wanted entry has, where it is said. */
export function requiredProtocol(filter: FlowFilter): number | undefined {
  return atomsOf(filter)?.protonum;
}

/**
 * How much of CTA_FILTER (Linux 5.8) the kernel is trusted with. It answers EINVAL or EOPNOTSUPP to what it does not know, but
 * before 7.3 an IPv6 address is inverted: entries come that differ (docs/kernels.md).
 */
export type TupleFilter = 'nothing' | 'noIpv6Address' | 'everything';

/** Whether the kernel is asked for an address. */
export function asksAddress(address: AddressBytes, trusted: TupleFilter): boolean {
  return trusted === 'everything' || (trusted === 'noIpv6Address' && familyOf(address) === AF_INET);
}

/** As `putAtoms`, for what all entries have that the filter wants. */
export function putKernelFilter(message: MessageWriter, filter: FlowFilter, family: number, trusted: TupleFilter): boolean {
  const atoms = atomsOf(filter);
  return atoms !== undefined && putAtoms(message, atoms, family, trusted);
}

/**
 * Appends the attributes that make the kernel filter a dump; the caller puts `family` into the header.
 * @returns whether CTA_FILTER was used
 */
export function putAtoms(message: MessageWriter, atoms: Atoms, family: number, trusted: TupleFilter): boolean {
  const { mark, set, clear, zone } = atoms;
  if (mark.mask !== 0) {
    message.be32(CTA_MARK, mark.value);
    message.be32(CTA_MARK_MASK, mark.mask);
  }
  if ((set | clear) !== 0) {
    message.be32(CTA_STATUS, set);
    message.be32(CTA_STATUS_MASK, (set | clear) >>> 0);
  }
  if (zone !== 0) message.be16(CTA_ZONE, zone);
  return trusted !== 'nothing' && family !== AF_UNSPEC && putTupleFilter(message, atoms, family, trusted);
}

/** Whether the kernel could filter by tuple, had the dump a family: ports and ICMP fields count with a protocol only. */
export function filtersByTuple({ protonum }: Atoms): boolean {
  return protonum !== undefined;
}

/**
 * Whether the kernel sends an entry in a dump of one family, or of both (AF_UNSPEC). For estimates: ports of some protocols and what
 * older kernels cannot do are taken for filtered.
 */
export function isSent(atoms: Atoms, view: View, family: number, trusted: TupleFilter): boolean {
  if (family !== AF_UNSPEC && view.family !== family) return false;
  if (((view.be32(S.mark) ^ atoms.mark.value) & atoms.mark.mask) !== 0) return false;
  if ((view.be32(S.status) & (atoms.set | atoms.clear)) !== (atoms.set | 0)) return false;
  if (atoms.zone !== 0 && !ZONE_SLOTS.some((slot) => view.be16(slot) === atoms.zone)) return false;
  if (family === AF_UNSPEC) return true;
  if (!hasAddresses(view, ORIGINAL, atoms.original, trusted) || !hasAddresses(view, REPLY, atoms.reply, trusted)) return false;
  if (atoms.protonum === undefined) return true;
  return (
    view.u8(ORIGINAL + T.protonum) === atoms.protonum &&
    hasTuple(view, ORIGINAL, atoms.original) &&
    hasTuple(view, REPLY, atoms.reply)
  );
}

const ZONE_SLOTS = [S.zone, ORIGINAL + T.tupleZone, REPLY + T.tupleZone];

function hasAddresses(view: View, base: Direction, tuple: TupleSpec, trusted: TupleFilter): boolean {
  for (const end of ['src', 'dst'] as const) {
    const address = tuple[end];
    if (!address || !asksAddress(address, trusted)) continue;
    const v4 = address.length === 4;
    const at = view.offset(base + (end === 'src' ? (v4 ? T.v4Src : T.v6Src) : v4 ? T.v4Dst : T.v6Dst));
    if (at === 0 || !address.every((byte, i) => view.bytes[at + i] === byte)) return false;
  }
  return true;
}

function hasTuple(view: View, base: Direction, { sport, dport, icmpType, icmpCode, icmpId }: TupleSpec): boolean {
  return (
    (sport === undefined || view.be16(base + T.sport) === sport) &&
    (dport === undefined || view.be16(base + T.dport) === dport) &&
    (icmpType === undefined || view.u8(base + T.icmpType) === icmpType || view.u8(base + T.icmpv6Type) === icmpType) &&
    (icmpCode === undefined || view.u8(base + T.icmpCode) === icmpCode || view.u8(base + T.icmpv6Code) === icmpCode) &&
    (icmpId === undefined || view.be16(base + T.icmpId) === icmpId || view.be16(base + T.icmpv6Id) === icmpId)
  );
}

function putTupleFilter(message: MessageWriter, atoms: Atoms, family: number, trusted: TupleFilter): boolean {
  const tuples = { original: {} as MutableTuple, reply: {} as MutableTuple };
  const flags = { original: 0, reply: 0 };
  const { protonum } = atoms;
  if (protonum !== undefined) {
    tuples.original.protonum = protonum;
    flags.original |= CTA_FILTER_F_CTA_PROTO_NUM;
  }
  // For other protocols the kernel ignores the port flags.
  const ports = protonum === tcp.number || protonum === udp.number;
  for (const side of ['original', 'reply'] as const satisfies readonly Side[]) {
    const wanted = atoms[side];
    for (const end of ['src', 'dst'] as const) {
      const address = wanted[end];
      if (!address || familyOf(address) !== family || !asksAddress(address, trusted)) continue;
      tuples[side][end] = address;
      flags[side] |= end === 'src' ? CTA_FILTER_F_CTA_IP_SRC : CTA_FILTER_F_CTA_IP_DST;
    }
    if (!ports) continue;
    for (const [member, flag] of PORT_FLAGS) {
      const port = wanted[member];
      if (port === undefined) continue;
      tuples[side].protonum = protonum;
      tuples[side][member] = port;
      flags[side] |= CTA_FILTER_F_CTA_PROTO_NUM | flag;
    }
  }
  if (protonum === icmp.number || protonum === icmpv6.number)
    for (const [field, flag] of ICMP_FLAGS[protonum]) {
      const value = atoms.original[field];
      if (value === undefined || (field === 'icmpType' && !invertible(protonum, value))) continue;
      tuples.original[field] = value;
      flags.original |= flag;
    }
  if ((flags.original | flags.reply) === 0) return false;
  for (const side of ['original', 'reply'] as const satisfies readonly Side[])
    if (flags[side] !== 0) putTuple(message, side === 'original' ? CTA_TUPLE_ORIG : CTA_TUPLE_REPLY, tuples[side]);
  const nest = message.nest(CTA_FILTER);
  message.host32(CTA_FILTER_ORIG_FLAGS, flags.original);
  message.host32(CTA_FILTER_REPLY_FLAGS, flags.reply);
  message.endNest(nest);
  return true;
}

const PORT_FLAGS = [
  ['sport', CTA_FILTER_F_CTA_PROTO_SRC_PORT],
  ['dport', CTA_FILTER_F_CTA_PROTO_DST_PORT],
] as const;

const ICMP_FLAGS = {
  [icmp.number]: [
    ['icmpType', CTA_FILTER_F_CTA_PROTO_ICMP_TYPE],
    ['icmpCode', CTA_FILTER_F_CTA_PROTO_ICMP_CODE],
    ['icmpId', CTA_FILTER_F_CTA_PROTO_ICMP_ID],
  ],
  [icmpv6.number]: [
    ['icmpType', CTA_FILTER_F_CTA_PROTO_ICMPV6_TYPE],
    ['icmpCode', CTA_FILTER_F_CTA_PROTO_ICMPV6_CODE],
    ['icmpId', CTA_FILTER_F_CTA_PROTO_ICMPV6_ID],
  ],
} as const;

/** The kernel refuses other types in a request, although it could just find nothing. */
function invertible(protonum: number, type: number): boolean {
  return (protonum === icmp.number ? ICMP_INVERSE : ICMPV6_INVERSE).has(type);
}

/** A key under which at most one entry exists: a complete original tuple, and the zone it is in. */
export interface ExactKey {
  readonly tuple: TupleSpec;
  /** CTA_ZONE; absent when the zone belongs to one direction (`tuple.zone`) or is 0. */
  readonly zone?: number;
  /** The zone is not known, but the id is: an entry of zone 0 that the filter wants is the only one, and else it may be elsewhere. */
  readonly orElsewhere: boolean;
}

/**
 * The key that a filter pins down, if it does: then one GET answers it, ten thousand times cheaper than a dump. A zone must be
 * given, and not 0: without one the same tuple may exist in several zones, and `-w 0` means entries with a zone in one
 * direction too. Or an id, which one of them has: nearly all tables have no zones, so it is looked for in zone 0 first.
 */
export function exactKey(filter: FlowFilter): ExactKey | undefined {
  const atoms = atomsOf(filter);
  if (!atoms) return undefined;
  const zones = new Map<NumberField, number>();
  let named = false;
  for (const { condition: c, wanted } of requiredLeaves(filter)) {
    if (c.kind !== 'number' || !wanted) continue;
    const value = single(c.ranges);
    if (c.field === 'id' && value !== undefined) named = true;
    if (isZone(c.field) && value !== undefined && value !== 0) zones.set(c.field, value);
  }
  const zone = zones.get('zone');
  const own = zones.get('originalZone');
  if (zones.size === 0 && !named) return undefined;
  if (zone !== undefined && own !== undefined) return undefined; // contradictory: nothing has both; a dump says so
  const tuple = {
    ...atoms.original,
    ...(atoms.protonum !== undefined && { protonum: atoms.protonum }),
    ...(own !== undefined && { zone: own }),
  };
  if (!tuple.src || !tuple.dst || tuple.protonum === undefined || !complete(tuple)) return undefined;
  return { tuple, orElsewhere: zones.size === 0, ...(zone !== undefined && { zone }) };
}

function complete(tuple: TupleSpec): boolean {
  switch (protocolByNumber(tuple.protonum!).tuple) {
    case 'ports':
    case 'keys':
      return tuple.sport !== undefined && tuple.dport !== undefined;
    case 'icmp':
    case 'icmpv6':
      return (
        tuple.icmpType !== undefined &&
        tuple.icmpCode !== undefined &&
        tuple.icmpId !== undefined &&
        invertible(tuple.protonum!, tuple.icmpType)
      );
    case 'none':
      return true;
  }
}

/** The filter that atoms stand for. */
export function atomsFilter(atoms: Atoms): FlowFilter {
  const of: FlowFilter[] = [];
  const { family, protonum, mark, set, clear, zone } = atoms;
  if (family !== AF_UNSPEC) of.push({ kind: 'family', family });
  if (protonum !== undefined) of.push(numberIs('protocol', protonum));
  for (const side of ['original', 'reply'] as const) {
    const { src, dst, sport, dport, icmpType, icmpCode, icmpId } = atoms[side];
    if (src) of.push(addressIs(side, 'src', src));
    if (dst) of.push(addressIs(side, 'dst', dst));
    const what = protonum === gre.number ? 'key' : 'port';
    if (sport !== undefined) of.push(portIs(side, 'src', sport, what));
    if (dport !== undefined) of.push(portIs(side, 'dst', dport, what));
    const version = protonum === icmpv6.number ? 'icmpv6' : 'icmp';
    if (icmpType !== undefined) of.push(numberIs(`${version}Type`, icmpType));
    if (icmpCode !== undefined) of.push(numberIs(`${version}Code`, icmpCode));
    if (icmpId !== undefined) of.push(numberIs(`${version}Id`, icmpId));
  }
  if (mark.mask !== 0) of.push(markIs(mark.value, mark.mask));
  of.push(...statusIs(set, clear));
  // The kernel compares the zone with that of either direction.
  if (zone !== 0)
    of.push({ kind: 'any', of: [numberIs('zone', zone), numberIs('originalZone', zone), numberIs('replyZone', zone)] });
  return { kind: 'all', of };
}
