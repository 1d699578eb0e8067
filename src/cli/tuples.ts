// Options → tuples: which options make up each side of a flow.

import type { TupleSpec } from '../ctnetlink/encode.js';
import { ICMP_INVERSE } from '../ctnetlink/protocols/icmp.js';
import { ICMPV6_INVERSE } from '../ctnetlink/protocols/icmpv6.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import type { OptionValues } from './invocation.js';

/** `-s -d --sport --dport`, or the ICMP fields, whose id is 0 unless given. */
export function originalTuple(values: OptionValues): TupleSpec {
  const icmp = values.icmpType !== undefined || values.icmpCode !== undefined;
  return {
    src: values.src?.address,
    dst: values.dst?.address,
    protonum: values.protonum,
    sport: values.sport,
    dport: values.dport,
    icmpType: values.icmpType,
    icmpCode: values.icmpCode,
    icmpId: values.icmpId ?? (icmp ? 0 : undefined),
  };
}

/** `-r -q --reply-port-src --reply-port-dst`, and the ICMP fields of the answer. */
export function replyTuple(values: OptionValues): TupleSpec {
  const { icmpType, icmpCode, icmpId } = inverse(originalTuple(values));
  return {
    src: values.replySrc?.address,
    dst: values.replyDst?.address,
    protonum: values.protonum,
    sport: values.replySport,
    dport: values.replyDport,
    icmpType,
    icmpCode,
    icmpId,
  };
}

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
