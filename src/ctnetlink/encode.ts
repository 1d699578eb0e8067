// Meaning → request attributes: tuples, and the zone in which to look them up. Source: docs/kernel.md 3.2, 3.3.

import type { MessageWriter } from '../wire/message.js';
import type { AddressBytes } from './address.js';
import { ORIGINAL, S, T } from './fields.js';
import { protocolByNumber } from './protocols/index.js';
import {
  CTA_IP_V4_DST,
  CTA_IP_V4_SRC,
  CTA_IP_V6_DST,
  CTA_IP_V6_SRC,
  CTA_PROTO_DST_PORT,
  CTA_PROTO_ICMP_CODE,
  CTA_PROTO_ICMP_ID,
  CTA_PROTO_ICMP_TYPE,
  CTA_PROTO_ICMPV6_CODE,
  CTA_PROTO_ICMPV6_ID,
  CTA_PROTO_ICMPV6_TYPE,
  CTA_PROTO_NUM,
  CTA_PROTO_SRC_PORT,
  CTA_TUPLE_IP,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
  CTA_TUPLE_REPLY,
  CTA_TUPLE_ZONE,
  CTA_ZONE,
} from './uapi/nfnetlink-conntrack.js';
import type { View } from './view.js';

/** One side of a flow as a request names it. Absent members are not sent. `sport` and `dport` hold GRE keys too. */
export interface TupleSpec {
  readonly src?: AddressBytes | undefined;
  readonly dst?: AddressBytes | undefined;
  /** Layer-4 protocol, 0 to 255. */
  readonly protonum?: number | undefined;
  readonly sport?: number | undefined;
  readonly dport?: number | undefined;
  readonly icmpType?: number | undefined;
  readonly icmpCode?: number | undefined;
  readonly icmpId?: number | undefined;
  /** Zone of this direction only. */
  readonly zone?: number | undefined;
}

/** Appends a tuple as the nested attribute `type`. */
export function putTuple(message: MessageWriter, type: number, tuple: TupleSpec): void {
  const nest = message.nest(type);
  if (tuple.src || tuple.dst) {
    const ip = message.nest(CTA_TUPLE_IP);
    if (tuple.src) message.raw(tuple.src.length === 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple.src);
    if (tuple.dst) message.raw(tuple.dst.length === 4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple.dst);
    message.endNest(ip);
  }
  if (tuple.protonum !== undefined) {
    const proto = message.nest(CTA_TUPLE_PROTO);
    message.u8(CTA_PROTO_NUM, tuple.protonum);
    if (tuple.sport !== undefined) message.be16(CTA_PROTO_SRC_PORT, tuple.sport);
    if (tuple.dport !== undefined) message.be16(CTA_PROTO_DST_PORT, tuple.dport);
    const v6 = protocolByNumber(tuple.protonum).tuple === 'icmpv6';
    if (tuple.icmpId !== undefined) message.be16(v6 ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, tuple.icmpId);
    if (tuple.icmpType !== undefined) message.u8(v6 ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE, tuple.icmpType);
    if (tuple.icmpCode !== undefined) message.u8(v6 ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE, tuple.icmpCode);
    message.endNest(proto);
  }
  if (tuple.zone !== undefined) message.be16(CTA_TUPLE_ZONE, tuple.zone);
  message.endNest(nest);
}

/** How one entry is named. One of the tuples must be complete; if both are given, `original` wins. */
export interface FlowKey {
  readonly family: number;
  readonly original?: TupleSpec | undefined;
  readonly reply?: TupleSpec | undefined;
  readonly zone?: number | undefined;
  /** Means this entry only. The kernel checks it only for a DELETE; for other requests, the caller has to. */
  readonly id?: number | undefined;
}

/** Appends the tuple and the zone of a key. Without a tuple a DELETE would empty the table. */
export function putFlowKey(message: MessageWriter, { original, reply, zone }: FlowKey): void {
  if (original) putTuple(message, CTA_TUPLE_ORIG, original);
  else putTuple(message, CTA_TUPLE_REPLY, reply!);
  if (zone !== undefined) message.be16(CTA_ZONE, zone);
}

/** Appends the original tuple and the zone of the flow in the view: the key by which to find it again. */
export function putKeyOf(message: MessageWriter, view: View): void {
  const nest = message.nest(CTA_TUPLE_ORIG);
  const ip = message.nest(CTA_TUPLE_IP);
  copyValue(message, view, ORIGINAL + T.v4Src, CTA_IP_V4_SRC);
  copyValue(message, view, ORIGINAL + T.v4Dst, CTA_IP_V4_DST);
  copyValue(message, view, ORIGINAL + T.v6Src, CTA_IP_V6_SRC);
  copyValue(message, view, ORIGINAL + T.v6Dst, CTA_IP_V6_DST);
  message.endNest(ip);
  const proto = message.nest(CTA_TUPLE_PROTO);
  copyValue(message, view, ORIGINAL + T.protonum, CTA_PROTO_NUM);
  copyValue(message, view, ORIGINAL + T.sport, CTA_PROTO_SRC_PORT);
  copyValue(message, view, ORIGINAL + T.dport, CTA_PROTO_DST_PORT);
  copyValue(message, view, ORIGINAL + T.icmpId, CTA_PROTO_ICMP_ID);
  copyValue(message, view, ORIGINAL + T.icmpType, CTA_PROTO_ICMP_TYPE);
  copyValue(message, view, ORIGINAL + T.icmpCode, CTA_PROTO_ICMP_CODE);
  copyValue(message, view, ORIGINAL + T.icmpv6Id, CTA_PROTO_ICMPV6_ID);
  copyValue(message, view, ORIGINAL + T.icmpv6Type, CTA_PROTO_ICMPV6_TYPE);
  copyValue(message, view, ORIGINAL + T.icmpv6Code, CTA_PROTO_ICMPV6_CODE);
  message.endNest(proto);
  copyValue(message, view, ORIGINAL + T.tupleZone, CTA_TUPLE_ZONE);
  message.endNest(nest);
  copyValue(message, view, S.zone, CTA_ZONE);
}

/** Appends the value of a slot as attribute `type`, if the view has it. */
export function copyValue(message: MessageWriter, view: View, slot: number, type: number): void {
  if (view.has(slot)) message.copy(type, view.bytes, view.offset(slot), view.length(slot));
}
