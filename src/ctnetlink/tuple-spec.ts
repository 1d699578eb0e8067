// How the two directions of a flow depend on each other. Derivation of one from the other: docs/behaviour.md 3.13.

import type { TupleSpec } from './encode.js';
import { ICMP_INVERSE } from './protocols/icmp.js';
import { ICMPV6_INVERSE } from './protocols/icmpv6.js';
import { protocolByNumber } from './protocols/index.js';

/** The tuple of the reply: addresses and ports swapped, an ICMP query turned into its answer and vice versa. */
export function inverse(tuple: TupleSpec): TupleSpec {
  const { icmpType } = tuple;
  return {
    src: tuple.dst,
    dst: tuple.src,
    protonum: tuple.protonum,
    sport: tuple.dport,
    dport: tuple.sport,
    icmpType: icmpType === undefined ? undefined : (inverseIcmpType(tuple.protonum ?? 0, icmpType) ?? icmpType),
    icmpCode: tuple.icmpCode,
    icmpId: tuple.icmpId,
  };
}

/** The type of the answer to an ICMP or ICMPv6 type, or of the query to an answer; `undefined` for types without one. */
export function inverseIcmpType(protonum: number, type: number): number | undefined {
  return (protocolByNumber(protonum).tuple === 'icmpv6' ? ICMPV6_INVERSE : ICMP_INVERSE).get(type);
}

/** `tuple`, with missing members taken from `other`. */
export function filled(tuple: TupleSpec, other: TupleSpec): TupleSpec {
  return {
    src: tuple.src ?? other.src,
    dst: tuple.dst ?? other.dst,
    protonum: tuple.protonum ?? other.protonum,
    sport: tuple.sport ?? other.sport,
    dport: tuple.dport ?? other.dport,
    icmpType: tuple.icmpType ?? other.icmpType,
    icmpCode: tuple.icmpCode ?? other.icmpCode,
    icmpId: tuple.icmpId ?? other.icmpId,
  };
}
