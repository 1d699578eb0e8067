// ICMP (protocol 1): a tuple of type, code and id.

import type { Protocol } from '../schema.js';
import { IPPROTO_ICMP } from '../uapi/in.js';

/** Request types that have a reply, and the reverse; others cannot be tracked. Source: nf_conntrack_proto_icmp.c, docs/kernel.md 3.3. */
export const ICMP_INVERSE: ReadonlyMap<number, number> = new Map([
  [0, 8],
  [8, 0],
  [13, 14],
  [14, 13],
  [15, 16],
  [16, 15],
  [17, 18],
  [18, 17],
]);

export const icmp = { name: 'icmp', number: IPPROTO_ICMP, tuple: 'icmp' } as const satisfies Protocol;
