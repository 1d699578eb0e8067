// The helpers of the kernel: their modules, and the ports at which they are usually wanted. Source: net/netfilter/nf_conntrack_*.c.

import { IPPROTO_TCP, IPPROTO_UDP } from '../ctnetlink/uapi/in.js';

/** A helper and one of its ports. */
export interface HelperModule {
  /** As in /proc/modules. */
  readonly module: string;
  /** As in rules: `ct helper`. */
  readonly helper: string;
  readonly protonum: number;
  readonly port: number;
}

/** A row for each port. */
export const HELPER_MODULES: readonly HelperModule[] = [
  { module: 'nf_conntrack_ftp', helper: 'ftp', protonum: IPPROTO_TCP, port: 21 },
  { module: 'nf_conntrack_tftp', helper: 'tftp', protonum: IPPROTO_UDP, port: 69 },
  { module: 'nf_conntrack_sip', helper: 'sip', protonum: IPPROTO_UDP, port: 5060 },
  { module: 'nf_conntrack_sip', helper: 'sip', protonum: IPPROTO_TCP, port: 5060 },
  { module: 'nf_conntrack_irc', helper: 'irc', protonum: IPPROTO_TCP, port: 6667 },
  { module: 'nf_conntrack_pptp', helper: 'pptp', protonum: IPPROTO_TCP, port: 1723 },
  { module: 'nf_conntrack_h323', helper: 'Q.931', protonum: IPPROTO_TCP, port: 1720 },
  { module: 'nf_conntrack_sane', helper: 'sane', protonum: IPPROTO_TCP, port: 6566 },
  { module: 'nf_conntrack_amanda', helper: 'amanda', protonum: IPPROTO_UDP, port: 10080 },
  { module: 'nf_conntrack_snmp', helper: 'snmp', protonum: IPPROTO_UDP, port: 161 },
];
