// Tells two flows of one original tuple apart. The id cannot: the kernel computes it from the tuple and the entry's address in memory,
// and the next flow of a tuple often gets the memory of the previous one. Source: nf_ct_get_id() in net/netfilter/nf_conntrack_core.c.
// Flows that cannot be told apart: docs/events.md.

import { NFNL_ATTRS } from '../wire/uapi/nfnetlink.js';
import { MASTER, REPLY, S, T, TUPLE_SIZE } from './fields.js';
import {
  IPS_ASSURED,
  IPS_DST_NAT,
  IPS_EXPECTED,
  IPS_FIXED_TIMEOUT,
  IPS_SEEN_REPLY,
  IPS_SRC_NAT,
  IPS_UNTRACKED,
} from './uapi/nf-conntrack-common.js';
import type { View } from './view.js';

/** Fixed before the first message about a flow, and the same until its end. */
const CONSTANT = IPS_EXPECTED | IPS_SRC_NAT | IPS_DST_NAT;
/** Once set, never cleared: the kernel refuses or ignores the attempt. Only a program behind NFQUEUE can clear them. */
const LASTING = IPS_SEEN_REPLY | IPS_ASSURED | IPS_FIXED_TIMEOUT;

/** Whether two messages of one original tuple certainly belong to two flows, whichever is older. */
export function areTwoFlows(one: View, other: View): boolean {
  return (
    (((one.be32(S.status) ^ other.be32(S.status)) & CONSTANT) !== 0 && haveBoth(one, other, S.status)) ||
    differ(one, other, S.timestampStart) ||
    (!haveSameReply(one, other) && tuplesDiffer(one, other, REPLY)) ||
    tuplesDiffer(one, other, MASTER)
  );
}

/** Those of its status bits that a flow never loses. */
export function lastingStatus(view: View): number {
  return view.be32(S.status) & LASTING;
}

/** Whether the flow of an older message has certainly been replaced by that of a newer one with the same original tuple. */
export function isReplaced(older: View, newer: View): boolean {
  return (newer.has(S.status) && (lastingStatus(older) & ~lastingStatus(newer)) !== 0) || areTwoFlows(older, newer);
}

/**
 * Whether a flow can be found only by its reply: two packets of one original tuple arrived at the same time and were translated
 * differently, and this flow is that of the second. It lives for a second, and no list contains it; the other one, with the same original
 * tuple, lives on. Source: IPS_NAT_CLASH, which is IPS_UNTRACKED; nf_ct_resolve_clash_harder() in net/netfilter/nf_conntrack_core.c.
 */
export function isClash(view: View): boolean {
  return (view.be32(S.status) & IPS_UNTRACKED) !== 0;
}

/** Not every message has every attribute; one that either message lacks proves nothing. */
function haveBoth(one: View, other: View, slot: number): boolean {
  return one.has(slot) && other.has(slot);
}

/** Whether the replies are certainly the same. Kernels send the tuples first, and comparing them word for word is fast. */
function haveSameReply(one: View, other: View): boolean {
  const reply = one.offset(REPLY + T.protonum) - one.start - NFNL_ATTRS;
  return reply > 0 && one.sameBeginning(other) > reply;
}

function tuplesDiffer(one: View, other: View, direction: number): boolean {
  if (!haveBoth(one, other, direction + T.protonum)) return false;
  for (let slot = direction; slot < direction + TUPLE_SIZE; slot++)
    if (one.has(slot) !== other.has(slot) || differ(one, other, slot)) return true;
  return false;
}

function differ(one: View, other: View, slot: number): boolean {
  if (!haveBoth(one, other, slot)) return false;
  const size = one.length(slot);
  const from = one.offset(slot);
  const otherFrom = other.offset(slot);
  for (let i = 0; i < size; i++) if (one.bytes[from + i] !== other.bytes[otherFrom + i]) return true;
  return false;
}
