// Which flows a dump or a flush selects: family, mark, status, zone, and the members of tuples that CTA_FILTER names. Source:
// ctnetlink_alloc_filter(), ctnetlink_filter_match() in net/netfilter/nf_conntrack_netlink.c. Kernels before 7.3 select all other flows
// for an IPv6 address; this code selects the right ones.

import { ORIGINAL, REPLY, S } from '../ctnetlink/fields.js';
import { icmp } from '../ctnetlink/protocols/icmp.js';
import { icmpv6 } from '../ctnetlink/protocols/icmpv6.js';
import { tcp } from '../ctnetlink/protocols/tcp.js';
import { udp } from '../ctnetlink/protocols/udp.js';
import type { Tuple } from '../ctnetlink/tuple.js';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../ctnetlink/uapi/in.js';
import {
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
} from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { EINVAL, EOPNOTSUPP } from '../wire/errno.js';
import { type MemoryFlow, zoneOf } from './memory-flow.js';
import { Refusal } from './netlink-answers.js';
import { R, type TableRequest } from './table-request.js';

export type FlowTest = (flow: MemoryFlow) => boolean;

/** For each flag, the member of a tuple and the protocols to which it applies; without any, it applies to all. */
const FLAGS: readonly (readonly [flag: number, member: keyof Tuple, protocols?: readonly number[]])[] = [
  [CTA_FILTER_F_CTA_IP_SRC, 'src'],
  [CTA_FILTER_F_CTA_IP_DST, 'dst'],
  [CTA_FILTER_F_CTA_PROTO_NUM, 'protonum'],
  [CTA_FILTER_F_CTA_PROTO_SRC_PORT, 'sport', [tcp.number, udp.number]],
  [CTA_FILTER_F_CTA_PROTO_DST_PORT, 'dport', [tcp.number, udp.number]],
  [CTA_FILTER_F_CTA_PROTO_ICMP_TYPE, 'icmpType', [icmp.number]],
  [CTA_FILTER_F_CTA_PROTO_ICMP_CODE, 'icmpCode', [icmp.number]],
  [CTA_FILTER_F_CTA_PROTO_ICMP_ID, 'icmpId', [icmp.number]],
  [CTA_FILTER_F_CTA_PROTO_ICMPV6_TYPE, 'icmpType', [icmpv6.number]],
  [CTA_FILTER_F_CTA_PROTO_ICMPV6_CODE, 'icmpCode', [icmpv6.number]],
  [CTA_FILTER_F_CTA_PROTO_ICMPV6_ID, 'icmpId', [icmpv6.number]],
];

/** The filter of a request; `undefined` if it selects everything. @throws Refusal */
export function dumpFilter(request: TableRequest, family: number): FlowTest | undefined {
  const { view } = request;
  const tests: FlowTest[] = [];
  if (family !== AF_UNSPEC) {
    const wanted = family === AF_INET ? 'ipv4' : family === AF_INET6 ? 'ipv6' : undefined;
    tests.push((flow) => flow.family === wanted);
  }
  if (view.has(S.mark)) {
    const mark = view.be32(S.mark);
    const mask = view.has(R.markMask) ? view.be32(R.markMask) : 0xffffffff;
    tests.push((flow) => (flow.mark & mask) >>> 0 === mark);
  }
  if (view.has(S.status)) {
    const status = view.be32(S.status);
    const mask = view.has(R.statusMask) ? view.be32(R.statusMask) : status;
    if (mask === 0) throw new Refusal(EINVAL);
    tests.push((flow) => (flow.status & mask) >>> 0 === status);
  }
  if (view.has(S.zone)) {
    const id = view.be16(S.zone);
    tests.push(({ zone }) => zoneOf(zone, 'original') === id || zoneOf(zone, 'reply') === id);
  }
  for (const [slot, base, side] of [
    [R.filterOriginal, ORIGINAL, 'original'],
    [R.filterReply, REPLY, 'reply'],
  ] as const) {
    const flags = view.labelWord(slot, 0);
    if (flags !== 0) tests.push(tupleTest(request, flags, base, side));
  }
  return tests.length === 0 ? undefined : (flow) => tests.every((test) => test(flow));
}

function tupleTest(request: TableRequest, flags: number, base: number, side: 'original' | 'reply'): FlowTest {
  if (request.view.family !== AF_INET && request.view.family !== AF_INET6) throw new Refusal(EOPNOTSUPP);
  if (!request.hasTuple(base)) throw new Refusal(EINVAL);
  const wanted = request.partialTuple(base);
  const { protonum } = wanted;
  if ((flags & ~(CTA_FILTER_F_CTA_IP_SRC | CTA_FILTER_F_CTA_IP_DST)) !== 0 && (flags & CTA_FILTER_F_CTA_PROTO_NUM) === 0)
    throw new Refusal(EINVAL);
  const members: (keyof Tuple)[] = [];
  for (const [flag, member, protocols] of FLAGS) {
    if ((flags & flag) === 0 || (protocols && !protocols.includes(protonum))) continue;
    if (wanted[member] === undefined) throw new Refusal(EINVAL);
    members.push(member);
  }
  return (flow) => members.every((member) => flow[side][member] === wanted[member]);
}
