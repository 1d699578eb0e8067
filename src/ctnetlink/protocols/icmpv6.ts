// ICMPv6 (protocol 58): a tuple of type, code and id.

import type { Protocol } from '../schema.js';
import { IPPROTO_ICMPV6 } from '../uapi/in.js';

/** Request types that have a reply, and the reverse; others cannot be tracked. Source: nf_conntrack_proto_icmpv6.c, docs/kernel.md 3.3. */
export const ICMPV6_INVERSE: ReadonlyMap<number, number> = new Map([
  [128, 129],
  [129, 128],
  [139, 140],
  [140, 139],
]);

export const icmpv6 = { name: 'icmpv6', number: IPPROTO_ICMPV6, tuple: 'icmpv6' } as const satisfies Protocol;
