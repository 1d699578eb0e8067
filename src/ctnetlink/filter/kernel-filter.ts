// The part of a FlowFilter that the kernel can do before it sends anything. It is a pre-filter only: it may let more through
// than the filter wants, never less, and every entry is checked again. So a kernel that ignores a condition (older ones do, in
// silence) costs time, not answers. What the kernel gets wrong is never sent. Source: docs/kernel.md 4.

import type { MessageWriter } from '../../wire/message.js';
import { familyOf } from '../address.js';
import { putTuple, type TupleSpec } from '../encode.js';
import { ICMP_INVERSE, icmp } from '../protocols/icmp.js';
import { ICMPV6_INVERSE } from '../protocols/icmpv6.js';
import { protocolByNumber } from '../protocols/index.js';
import { tcp } from '../protocols/tcp.js';
import { udp } from '../protocols/udp.js';
import { AF_INET, AF_UNSPEC } from '../uapi/in.js';
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
import type { FlowCondition, FlowFilter, Side } from './condition.js';

type MutableTuple = { -readonly [K in keyof TupleSpec]: TupleSpec[K] };
type Conditions = readonly FlowCondition[];

/** The conditions that every wanted entry meets: the top level of a filter, as far as it is a conjunction. */
export function requiredConditions(filter: FlowFilter): Conditions {
  if (filter.kind === 'all') return filter.of.flatMap(requiredConditions);
  return filter.kind === 'any' || filter.kind === 'not' ? [] : [filter];
}

/** The family that every wanted entry has, from a family condition or an address; AF_UNSPEC when both may match. */
export function requiredFamily(filter: FlowFilter): number {
  for (const c of requiredConditions(filter)) {
    if (c.kind === 'family') return c.family;
    if (c.kind === 'address' || (c.kind === 'nat' && c.address)) return familyOf(c.address!);
  }
  return AF_UNSPEC;
}

/**
 * How much of CTA_FILTER (Linux 5.8) the kernel is trusted with. It answers EINVAL or EOPNOTSUPP to what it does not know, but
 * before 7.3 an IPv6 address is inverted: entries come that differ (docs/kernels.md).
 */
export type TupleFilter = 'nothing' | 'noIpv6Address' | 'everything';

/**
 * Appends the attributes that make the kernel filter a dump; the caller puts `family` into the header.
 * @returns whether CTA_FILTER was used
 */
export function putKernelFilter(message: MessageWriter, filter: FlowFilter, family: number, trusted: TupleFilter): boolean {
  const conditions = requiredConditions(filter);
  putMark(message, conditions);
  putStatus(message, conditions);
  putZone(message, conditions);
  return trusted !== 'nothing' && family !== AF_UNSPEC && putTupleFilter(message, conditions, family, trusted);
}

/** What the kernel filters by in any dump, and by CTA_FILTER in a dump of one family. */
const BY_VALUE: ReadonlySet<FlowCondition['kind']> = new Set(['mark', 'status', 'zone']);
const BY_TUPLE: ReadonlySet<FlowCondition['kind']> = new Set([...BY_VALUE, 'protocol', 'port', 'icmp']);

/**
 * The part of a filter without an address that decides which entries the kernel sends, AF_UNSPEC being both families. For estimates:
 * ports of some protocols, the zone 0, and what older kernels cannot do are taken for filtered.
 */
export function kernelPart(filter: FlowFilter, family: number): FlowFilter {
  const kinds = family !== AF_UNSPEC && filtersByTuple(filter) ? BY_TUPLE : BY_VALUE;
  return { kind: 'all', of: requiredConditions(filter).filter(({ kind }) => kinds.has(kind)) };
}

/** Whether the kernel could filter by tuple, had the dump a family. */
export function filtersByTuple(filter: FlowFilter): boolean {
  return requiredConditions(filter).some(({ kind }) => kind === 'protocol'); // ports and ICMP fields count with a protocol only
}

function putMark(message: MessageWriter, conditions: Conditions): void {
  const mark = conditions.find((c) => c.kind === 'mark');
  if (!mark || mark.mask === 0) return;
  message.be32(CTA_MARK, mark.value);
  message.be32(CTA_MARK_MASK, mark.mask);
}

function putStatus(message: MessageWriter, conditions: Conditions): void {
  let set = 0;
  let clear = 0;
  for (const c of conditions) {
    if (c.kind !== 'status') continue;
    set |= c.set;
    clear |= c.clear;
  }
  if ((set | clear) === 0) return;
  message.be32(CTA_STATUS, set);
  message.be32(CTA_STATUS_MASK, set | clear);
}

/** The kernel matches a zone in either direction, which is more than is wanted; but its zone 0 leaves out entries that have a
 * zone in one direction only, which is less. So only other zones are sent. */
function putZone(message: MessageWriter, conditions: Conditions): void {
  const zone = conditions.find((c) => c.kind === 'zone' && c.zone !== 0);
  if (zone?.kind === 'zone') message.be16(CTA_ZONE, zone.zone);
}

function putTupleFilter(message: MessageWriter, conditions: Conditions, family: number, trusted: TupleFilter): boolean {
  const tuples = { original: {} as MutableTuple, reply: {} as MutableTuple };
  const flags = { original: 0, reply: 0 };
  const protonum = conditions.find((c) => c.kind === 'protocol')?.protonum;
  if (protonum !== undefined) {
    tuples.original.protonum = protonum;
    flags.original |= CTA_FILTER_F_CTA_PROTO_NUM;
  }
  for (const c of conditions) {
    if (c.kind === 'address') {
      // Masks cannot be told.
      if (c.mask || familyOf(c.address) !== family || (family !== AF_INET && trusted !== 'everything')) continue;
      tuples[c.side][c.end] = c.address;
      flags[c.side] |= c.end === 'src' ? CTA_FILTER_F_CTA_IP_SRC : CTA_FILTER_F_CTA_IP_DST;
    } else if (c.kind === 'port' && (protonum === tcp.number || protonum === udp.number)) {
      // For other protocols the kernel ignores the port flags.
      const tuple = tuples[c.side];
      tuple.protonum = protonum;
      tuple[c.end === 'src' ? 'sport' : 'dport'] = c.port;
      flags[c.side] |=
        CTA_FILTER_F_CTA_PROTO_NUM | (c.end === 'src' ? CTA_FILTER_F_CTA_PROTO_SRC_PORT : CTA_FILTER_F_CTA_PROTO_DST_PORT);
    } else if (c.kind === 'icmp' && protonum === c.protonum) {
      if (c.field === 'type' && !invertible(c.protonum, c.value)) continue;
      tuples.original[ICMP_MEMBER[c.field]] = c.value;
      flags.original |= ICMP_FLAG[c.protonum][c.field];
    }
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

/** The kernel refuses other types in a request, although it could just find nothing. */
function invertible(protonum: number, type: number): boolean {
  return (protonum === icmp.number ? ICMP_INVERSE : ICMPV6_INVERSE).has(type);
}

const ICMP_MEMBER = { type: 'icmpType', code: 'icmpCode', id: 'icmpId' } as const;
const ICMP_FLAG = {
  1: {
    type: CTA_FILTER_F_CTA_PROTO_ICMP_TYPE,
    code: CTA_FILTER_F_CTA_PROTO_ICMP_CODE,
    id: CTA_FILTER_F_CTA_PROTO_ICMP_ID,
  },
  58: {
    type: CTA_FILTER_F_CTA_PROTO_ICMPV6_TYPE,
    code: CTA_FILTER_F_CTA_PROTO_ICMPV6_CODE,
    id: CTA_FILTER_F_CTA_PROTO_ICMPV6_ID,
  },
} as const;

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
  const conditions = requiredConditions(filter);
  const tuple: MutableTuple = {};
  let zone: number | undefined;
  let zoned = false;
  let named = false;
  for (const c of conditions) {
    if (c.kind === 'id') named = true;
    else if (c.kind === 'protocol') tuple.protonum = c.protonum;
    else if (c.kind === 'address' && c.side === 'original' && !c.mask) tuple[c.end] = c.address;
    else if (c.kind === 'port' && c.side === 'original') tuple[c.end === 'src' ? 'sport' : 'dport'] = c.port;
    else if (c.kind === 'icmp') tuple[ICMP_MEMBER[c.field]] = c.value;
    else if (c.kind === 'zone' && c.zone !== 0) {
      zoned = true;
      if (c.side === 'original') tuple.zone = c.zone;
      else if (c.side === undefined) zone = c.zone;
    }
  }
  if (!(zoned || named) || !tuple.src || !tuple.dst || tuple.protonum === undefined || !complete(tuple)) return undefined;
  if (zone !== undefined && tuple.zone !== undefined) return undefined; // contradictory: nothing has both; a dump says so
  return { tuple, orElsewhere: !zoned, ...(zone !== undefined && { zone }) };
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
