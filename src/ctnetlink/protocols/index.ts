// Look-up of protocol rows by number and by name.

import type { Protocol } from '../schema.js';
import { dccp } from './dccp.js';
import { generic } from './generic.js';
import { gre } from './gre.js';
import { icmp } from './icmp.js';
import { icmpv6 } from './icmpv6.js';
import { sctp } from './sctp.js';
import { tcp } from './tcp.js';
import { udp } from './udp.js';
import { udplite } from './udplite.js';

/** Every protocol with a tracker of its own. */
export const PROTOCOLS: readonly Protocol[] = [tcp, udp, udplite, sctp, dccp, icmp, icmpv6, gre];

/** The name of a protocol with a tracker of its own, or `unknown`. */
export type ProtocolName =
  | typeof tcp.name
  | typeof udp.name
  | typeof udplite.name
  | typeof sctp.name
  | typeof dccp.name
  | typeof icmp.name
  | typeof icmpv6.name
  | typeof gre.name
  | typeof generic.name;

const BY_NUMBER = new Array<Protocol>(256).fill(generic);
for (const protocol of PROTOCOLS) BY_NUMBER[protocol.number] = protocol;

/** The row of a protocol number, 0 to 255; `generic` for those without a tracker. */
export function protocolByNumber(number: number): Protocol {
  return BY_NUMBER[number] ?? generic;
}

/** The row of a name, whatever its case; `undefined` for protocols without a tracker. */
export function protocolByName(name: string): Protocol | undefined {
  const wanted = name.toLowerCase();
  return PROTOCOLS.find((p) => p.name === wanted);
}
