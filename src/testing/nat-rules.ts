// Translations of a new flow: how the kernel changes its reply tuple. Source: nf_nat_setup_info(), get_unique_tuple() in
// net/netfilter/nf_nat_core.c. If another flow has the requested port, the kernel picks a random one; this code takes the next free one.

import { protocolByNumber } from '../ctnetlink/protocols/index.js';
import { reverse } from '../ctnetlink/reverse.js';
import type { Tuple } from '../ctnetlink/tuple.js';
import { IPS_DST_NAT, IPS_DST_NAT_DONE, IPS_SRC_NAT, IPS_SRC_NAT_DONE } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { MemoryFlow } from './memory-flow.js';
import type { MemoryFlows } from './memory-flows.js';
import type { Translation } from './table-request.js';

/** Translates the source or the destination of a flow that is not in the table yet; without `to` it keeps it, unless it is in use. */
export function translate(flow: MemoryFlow, which: 'src' | 'dst', to: Translation | undefined, flows: MemoryFlows): void {
  const [port, bit, done] =
    which === 'src' ? (['sport', IPS_SRC_NAT, IPS_SRC_NAT_DONE] as const) : (['dport', IPS_DST_NAT, IPS_DST_NAT_DONE] as const);
  const current = reverse(flow.reply);
  const moved: Tuple = { ...current, [which]: to?.address ?? current[which] };
  const isUsed = (tuple: Tuple) => flows.find(reverse(tuple), flow.zone) !== undefined;
  const hasPorts = protocolByNumber(flow.protonum).tuple === 'ports';
  const wanted = hasPorts && to?.port !== undefined ? { ...moved, [port]: to.port } : freeTuple(moved, which, isUsed);
  if (wanted[which] !== current[which] || wanted[port] !== current[port] || wanted.icmpId !== current.icmpId) {
    flow.reply = reverse(wanted);
    flow.status |= bit;
  }
  flow.status |= done;
}

/** The tuple; if it is in use, with another source port or ICMP id, if one is free. It never changes a destination port. */
function freeTuple(tuple: Tuple, which: 'src' | 'dst', isUsed: (tuple: Tuple) => boolean): Tuple {
  if (!isUsed(tuple)) return tuple;
  if (tuple.icmpId !== undefined)
    return firstFree(0, 65535, which === 'dst' ? 0 : tuple.icmpId, (icmpId) => ({ ...tuple, icmpId }), isUsed) ?? tuple;
  const { protonum, sport } = tuple;
  if (which === 'dst' || sport === undefined || protocolByNumber(protonum).tuple !== 'ports') return tuple;
  const [first, last] = sport < 512 ? [1, 511] : sport < 1024 ? [600, 1023] : [1024, 65535];
  return firstFree(first, last, sport, (free) => ({ ...tuple, sport: free }), isUsed) ?? tuple;
}

/** The first tuple that is not in use, of numbers from `first` to `last`, beginning at `from`. */
function firstFree(
  first: number,
  last: number,
  from: number,
  make: (number: number) => Tuple,
  isUsed: (tuple: Tuple) => boolean,
): Tuple | undefined {
  const count = last - first + 1;
  for (let i = 0; i < count; i++) {
    const tuple = make(first + ((Math.max(from, first) - first + i) % count));
    if (!isUsed(tuple)) return tuple;
  }
  return undefined;
}
