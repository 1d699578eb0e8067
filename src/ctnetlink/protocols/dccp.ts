// DCCP (protocol 33): states and the role of the original direction. Kernels up to 6.12 track it.
// Source: linux/netfilter/nf_conntrack_dccp.h, nfnetlink_conntrack.h (enum ctattr_protoinfo_dccp); names: docs/behaviour.md 3.12.

import type { Fields, Protocol } from '../schema.js';
import { IPPROTO_DCCP } from '../uapi/in.js';
import {
  CTA_PROTOINFO,
  CTA_PROTOINFO_DCCP,
  CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ,
  CTA_PROTOINFO_DCCP_ROLE,
  CTA_PROTOINFO_DCCP_STATE,
} from '../uapi/nfnetlink-conntrack.js';

/** Index = kernel value. */
export const DCCP_STATES = [
  'NONE',
  'REQUEST',
  'RESPOND',
  'PARTOPEN',
  'OPEN',
  'CLOSEREQ',
  'CLOSING',
  'TIMEWAIT',
  'IGNORE',
  'INVALID',
] as const;
/** A state of the DCCP tracker. */
export type DccpState = (typeof DCCP_STATES)[number];

/** Index = kernel value. */
export const DCCP_ROLES = ['client', 'server'] as const;
/** The role of the original direction of a DCCP connection. */
export type DccpRole = (typeof DCCP_ROLES)[number];

const at = (type: number) => [CTA_PROTOINFO, CTA_PROTOINFO_DCCP, type] as const;

export const dccpFields = {
  dccpState: { path: at(CTA_PROTOINFO_DCCP_STATE), kind: 'u8', names: DCCP_STATES, doc: 'State of the DCCP tracker.' },
  dccpRole: { path: at(CTA_PROTOINFO_DCCP_ROLE), kind: 'u8', names: DCCP_ROLES, doc: 'Role of the original direction.' },
  dccpHandshakeSeq: { path: at(CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ), kind: 'be64', doc: 'Handshake sequence number.' },
} as const satisfies Fields;

export const dccp = {
  name: 'dccp',
  number: IPPROTO_DCCP,
  tuple: 'ports',
  optional: true,
  states: DCCP_STATES,
  state: 'dccpState',
} as const satisfies Protocol;
