// The rows of one tuple (struct nf_conntrack_tuple). Flows and expectations have several: each gets a copy of these slots.

import type { Fields } from './schema.js';
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
  CTA_TUPLE_PROTO,
  CTA_TUPLE_ZONE,
} from './uapi/nfnetlink-conntrack.js';

export const tupleFields = {
  v4Src: { path: [CTA_TUPLE_IP, CTA_IP_V4_SRC], kind: 'ipv4', doc: 'IPv4 source address.' },
  v4Dst: { path: [CTA_TUPLE_IP, CTA_IP_V4_DST], kind: 'ipv4', doc: 'IPv4 destination address.' },
  v6Src: { path: [CTA_TUPLE_IP, CTA_IP_V6_SRC], kind: 'ipv6', doc: 'IPv6 source address.' },
  v6Dst: { path: [CTA_TUPLE_IP, CTA_IP_V6_DST], kind: 'ipv6', doc: 'IPv6 destination address.' },
  protonum: { path: [CTA_TUPLE_PROTO, CTA_PROTO_NUM], kind: 'u8', doc: 'Layer-4 protocol number.' },
  sport: { path: [CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT], kind: 'be16', doc: 'Source port, or GRE key.' },
  dport: { path: [CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT], kind: 'be16', doc: 'Destination port, or GRE key.' },
  icmpId: { path: [CTA_TUPLE_PROTO, CTA_PROTO_ICMP_ID], kind: 'be16', doc: 'ICMP identifier.' },
  icmpType: { path: [CTA_TUPLE_PROTO, CTA_PROTO_ICMP_TYPE], kind: 'u8', doc: 'ICMP type.' },
  icmpCode: { path: [CTA_TUPLE_PROTO, CTA_PROTO_ICMP_CODE], kind: 'u8', doc: 'ICMP code.' },
  icmpv6Id: { path: [CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_ID], kind: 'be16', doc: 'ICMPv6 identifier.' },
  icmpv6Type: { path: [CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_TYPE], kind: 'u8', doc: 'ICMPv6 type.' },
  icmpv6Code: { path: [CTA_TUPLE_PROTO, CTA_PROTO_ICMPV6_CODE], kind: 'u8', doc: 'ICMPv6 code.' },
  tupleZone: { path: [CTA_TUPLE_ZONE], kind: 'be16', doc: 'Zone of this direction only.' },
} as const satisfies Fields;

export type TupleField = keyof typeof tupleFields;

const NAMES = Object.keys(tupleFields) as TupleField[];

/** Slot of each tuple field, relative to its direction's base. */
export const T: Readonly<Record<TupleField, number>> = Object.fromEntries(NAMES.map((name, i) => [name, i])) as Record<
  TupleField,
  number
>;

/** How many slots a tuple takes. */
export const TUPLE_SIZE = NAMES.length;
