// SCTP (protocol 132): states and verification tags.
// Source: linux/netfilter/nf_conntrack_sctp.h, nfnetlink_conntrack.h (enum ctattr_protoinfo_sctp); names: docs/behaviour.md 3.12.

import { networkToHost32 } from '../../wire/bytes.js';
import type { Fields, Protocol } from '../schema.js';
import { IPPROTO_SCTP } from '../uapi/in.js';
import {
  CTA_PROTOINFO,
  CTA_PROTOINFO_SCTP,
  CTA_PROTOINFO_SCTP_STATE,
  CTA_PROTOINFO_SCTP_VTAG_ORIGINAL,
  CTA_PROTOINFO_SCTP_VTAG_REPLY,
} from '../uapi/nfnetlink-conntrack.js';

/** Index = kernel value. HEARTBEAT_ACKED is retired: current kernels never send it and refuse it. */
export const SCTP_STATES = [
  'NONE',
  'CLOSED',
  'COOKIE_WAIT',
  'COOKIE_ECHOED',
  'ESTABLISHED',
  'SHUTDOWN_SENT',
  'SHUTDOWN_RECD',
  'SHUTDOWN_ACK_SENT',
  'HEARTBEAT_SENT',
  'HEARTBEAT_ACKED',
] as const;
/** A state of the SCTP tracker. */
export type SctpState = (typeof SCTP_STATES)[number];

const at = (type: number) => [CTA_PROTOINFO, CTA_PROTOINFO_SCTP, type] as const;

export const sctpFields = {
  sctpState: { path: at(CTA_PROTOINFO_SCTP_STATE), kind: 'u8', names: SCTP_STATES, doc: 'State of the SCTP tracker.' },
  sctpVtagOriginal: {
    path: at(CTA_PROTOINFO_SCTP_VTAG_ORIGINAL),
    kind: 'be32',
    doc: 'Verification tag of the original direction.',
  },
  sctpVtagReply: { path: at(CTA_PROTOINFO_SCTP_VTAG_REPLY), kind: 'be32', doc: 'Verification tag of the reply direction.' },
} as const satisfies Fields;

export const sctp = {
  name: 'sctp',
  number: IPPROTO_SCTP,
  tuple: 'ports',
  optional: true,
  states: SCTP_STATES,
  state: 'sctpState',
} as const satisfies Protocol;

/**
 * Converts a verification tag to and from the form in saved lines and options: a number with its bytes in host order. quirk:
 * docs/differences.md B35; files saved by the C tool have it so.
 */
export function savedVtag(tag: number): number {
  return networkToHost32(tag);
}
