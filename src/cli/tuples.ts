// Options → tuples: which options make up each side of a flow.

import type { TupleSpec } from '../ctnetlink/encode.js';
import { ICMP_INVERSE } from '../ctnetlink/protocols/icmp.js';
import { ICMPV6_INVERSE } from '../ctnetlink/protocols/icmpv6.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import type { OptionValues } from './invocation.js';

/** `-s -d --sport --dport`, or the ICMP fields, whose id is 0 unless given. */
export function originalTuple(values: OptionValues): TupleSpec {
  return {
    src: values.src?.address,
    dst: values.dst?.address,
    protonum: values.protonum,
    sport: values.sport,
    dport: values.dport,
    icmpType: values.icmpType,
    icmpCode: values.icmpCode,
    icmpId: values.icmpId ?? (hasIcmp(values) ? 0 : undefined),
  };
}

/** `-r -q --reply-port-src --reply-port-dst`; for ICMP the inverse type. */
export function replyTuple(values: OptionValues): TupleSpec {
  const inverse = protocolByNumber(values.protonum ?? 0).tuple === 'icmpv6' ? ICMPV6_INVERSE : ICMP_INVERSE;
  return {
    src: values.replySrc?.address,
    dst: values.replyDst?.address,
    protonum: values.protonum,
    sport: values.replySport,
    dport: values.replyDport,
    icmpType: values.icmpType === undefined ? undefined : (inverse.get(values.icmpType) ?? values.icmpType),
    icmpCode: values.icmpCode,
    icmpId: values.icmpId ?? (hasIcmp(values) ? 0 : undefined),
  };
}

function hasIcmp(values: OptionValues): boolean {
  return values.icmpType !== undefined || values.icmpCode !== undefined;
}
