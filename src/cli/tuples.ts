// Options → tuples: which options make up each side of a flow.

import type { TupleSpec } from '../ctnetlink/encode.js';
import { dccp } from '../ctnetlink/protocols/dccp.js';
import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { inverse } from '../ctnetlink/tuple-spec.js';
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

/** Whether the options name one flow by both of its complete tuples, as the lines of `-E -o save` do. */
export function namesOneFlow(values: OptionValues): boolean {
  const { src, dst, protonum, sport, dport, replySport, replyDport } = values;
  if (!src || src.mask || !dst || dst.mask || protonum === undefined) return false;
  if (!(values.replySrc ?? values.dstNat?.address) || !(values.replyDst ?? values.srcNat?.address)) return false;
  switch (protocolByNumber(protonum).tuple) {
    case 'ports':
    case 'keys': {
      const given = [sport, dport, replySport, replyDport].filter((port) => port !== undefined).length;
      // Kernels that do not track DCCP send no ports for it.
      return given === 4 || (given === 0 && protonum === dccp.number);
    }
    case 'icmp':
    case 'icmpv6':
      return [values.icmpType, values.icmpCode, values.icmpId].every((field) => field !== undefined);
    case 'none':
      return true;
  }
}
