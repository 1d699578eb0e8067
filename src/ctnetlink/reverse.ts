// The tuple of the replies to a tuple. Source: nf_ct_invert_tuple() in net/netfilter/nf_conntrack_core.c.

import { ValueError } from '../errors.js';
import { formatAddress } from './address.js';
import type { FlowSide } from './flow.js';
import { Members } from './members.js';
import { tupleMembers } from './new-flow.js';
import type { Json } from './plain.js';
import { protocolByNumber } from './protocols/index.js';
import type { Tuple } from './tuple.js';
import { inverse, inverseIcmpType } from './tuple-spec.js';

/**
 * The tuple of packets that reply to those of `tuple`, as the kernel makes the reply of an untranslated flow: addresses and ports swap
 * places, and an ICMP query gets the type of its answer. Zones belong to one direction, so the result has none. If you pass a direction
 * of a flow, only its tuple is used. @throws ValueError if it is not a tuple, or of an ICMP type without an answer: such packets begin no
 * flow
 *
 * ```ts
 * reverse(flow.original); // flow.reply, unless NAT changed it
 * ```
 */
export function reverse(tuple: Tuple | FlowSide | Json<FlowSide>): Tuple {
  const given = tupleMembers(new Members(tuple, '', false));
  const { src, dst, protonum, icmpType } = given;
  if (!src || !dst || protonum === undefined) throw new ValueError('a tuple needs src, dst and protonum');
  if (src.length !== dst.length) throw new ValueError('src and dst are of different families');
  if (icmpType !== undefined && inverseIcmpType(protonum, icmpType) === undefined)
    throw new ValueError(`${protocolByNumber(protonum).name} type ${icmpType} has no answer`);
  const { sport, dport, icmpType: answer, icmpCode, icmpId } = inverse(given);
  return {
    src: formatAddress(dst),
    dst: formatAddress(src),
    protonum,
    ...(sport !== undefined && { sport }),
    ...(dport !== undefined && { dport }),
    ...(answer !== undefined && { icmpType: answer }),
    ...(icmpCode !== undefined && { icmpCode }),
    ...(icmpId !== undefined && { icmpId }),
  };
}
