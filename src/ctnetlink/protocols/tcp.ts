// TCP (protocol 6): states, window scale, tracker flags.
// Source: linux/netfilter/nf_conntrack_tcp.h, nfnetlink_conntrack.h (enum ctattr_protoinfo_tcp); names: docs/behaviour.md 3.12.

import type { Fields, Protocol } from '../schema.js';
import { IPPROTO_TCP } from '../uapi/in.js';
import {
  CTA_PROTOINFO,
  CTA_PROTOINFO_TCP,
  CTA_PROTOINFO_TCP_FLAGS_ORIGINAL,
  CTA_PROTOINFO_TCP_FLAGS_REPLY,
  CTA_PROTOINFO_TCP_STATE,
  CTA_PROTOINFO_TCP_WSCALE_ORIGINAL,
  CTA_PROTOINFO_TCP_WSCALE_REPLY,
} from '../uapi/nfnetlink-conntrack.js';

/** Index = kernel value. Value 9 was LISTEN before Linux 2.6.31; the command still accepts that name. */
export const TCP_STATES = [
  'NONE',
  'SYN_SENT',
  'SYN_RECV',
  'ESTABLISHED',
  'FIN_WAIT',
  'CLOSE_WAIT',
  'LAST_ACK',
  'TIME_WAIT',
  'CLOSE',
  'SYN_SENT2',
] as const;
/** A state of the TCP tracker. */
export type TcpState = (typeof TCP_STATES)[number];

const at = (type: number) => [CTA_PROTOINFO, CTA_PROTOINFO_TCP, type] as const;

export const tcpFields = {
  tcpState: { path: at(CTA_PROTOINFO_TCP_STATE), kind: 'u8', names: TCP_STATES, doc: 'State of the TCP tracker.' },
  tcpWscaleOriginal: {
    path: at(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL),
    kind: 'u8',
    doc: 'Window scale of the original direction: a shift of 0 to 14.',
  },
  tcpWscaleReply: {
    path: at(CTA_PROTOINFO_TCP_WSCALE_REPLY),
    kind: 'u8',
    doc: 'Window scale of the reply direction: a shift of 0 to 14.',
  },
  tcpFlagsOriginal: {
    path: at(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL),
    kind: 'pair8',
    doc: 'Tracker flags of the original direction: struct nf_ct_tcp_flags { flags, mask }.',
  },
  tcpFlagsReply: {
    path: at(CTA_PROTOINFO_TCP_FLAGS_REPLY),
    kind: 'pair8',
    doc: 'Tracker flags of the reply direction: struct nf_ct_tcp_flags { flags, mask }.',
  },
} as const satisfies Fields;

export const tcp = {
  name: 'tcp',
  number: IPPROTO_TCP,
  tuple: 'ports',
  states: TCP_STATES,
  state: 'tcpState',
} as const satisfies Protocol;
