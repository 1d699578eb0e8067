// What the two directions of a flow have to do with each other. Derivation of one from the other: cli.md 3.13.

import type { TupleSpec } from './encode.js';
import { ICMP_INVERSE } from './protocols/icmp.js';
import { ICMPV6_INVERSE } from './protocols/icmpv6.js';
import { protocolByNumber } from './protocols/index.js';

/** The tuple of the answer: ends swapped, the ICMP type turned round where it has an answer. */
export function inverse(tuple: TupleSpec): TupleSpec {
  const types = protocolByNumber(tuple.protonum ?? 0).tuple === 'icmpv6' ? ICMPV6_INVERSE : ICMP_INVERSE;
  return {
    src: tuple.dst,
    dst: tuple.src,
    protonum: tuple.protonum,
    sport: tuple.dport,
    dport: tuple.sport,
    icmpType: tuple.icmpType === undefined ? undefined : (types.get(tuple.icmpType) ?? tuple.icmpType),
    icmpCode: tuple.icmpCode,
    icmpId: tuple.icmpId,
  };
}

/** `tuple`, with what it lacks from `other`. */
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
