// The application helpers that Linux 6.18 has built in: for which protocols, how many connections each expects per flow at a time, and
// for how long.

import type { Family } from '../ctnetlink/flow.js';
import { IPPROTO_TCP, IPPROTO_UDP } from '../ctnetlink/uapi/in.js';

interface Helper {
  readonly protocols: readonly number[];
  /** Absent: both. */
  readonly family?: Family;
  /** Expectations per flow: a further one replaces the oldest. */
  readonly most: number;
  /** Seconds. */
  readonly timeout: number;
}

/** By name. */
export const HELPERS: ReadonlyMap<string, Helper> = new Map<string, Helper>([
  ['H.245', { protocols: [IPPROTO_UDP], most: 18, timeout: 240 }],
  ['Q.931', { protocols: [IPPROTO_TCP], most: 20, timeout: 240 }],
  ['RAS', { protocols: [IPPROTO_UDP], most: 32, timeout: 240 }],
  ['amanda', { protocols: [IPPROTO_UDP], most: 4, timeout: 180 }],
  ['ftp', { protocols: [IPPROTO_TCP], most: 1, timeout: 300 }],
  ['irc', { protocols: [IPPROTO_TCP], family: 'ipv4', most: 8, timeout: 300 }],
  ['netbios-ns', { protocols: [IPPROTO_UDP], family: 'ipv4', most: 1, timeout: 3 }],
  ['pptp', { protocols: [IPPROTO_TCP], family: 'ipv4', most: 2, timeout: 300 }],
  ['sane', { protocols: [IPPROTO_TCP], most: 1, timeout: 300 }],
  ['sip', { protocols: [IPPROTO_TCP, IPPROTO_UDP], most: 1, timeout: 180 }],
  ['snmp', { protocols: [IPPROTO_UDP], family: 'ipv4', most: 1, timeout: 30 }],
  ['tftp', { protocols: [IPPROTO_UDP], most: 1, timeout: 300 }],
]);

/** Whether the kernel has this helper for flows of this family and protocol. */
export function knowsHelper(name: string, { family, protonum }: { readonly family: Family; readonly protonum: number }): boolean {
  const helper = HELPERS.get(name);
  return helper?.protocols.includes(protonum) === true && (helper.family ?? family) === family;
}

/** How a helper expects connections. */
export function expectationPolicy(name: string): Pick<Helper, 'most' | 'timeout'> {
  return HELPERS.get(name) ?? { most: 1, timeout: 300 };
}
