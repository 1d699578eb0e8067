// What a tuple needs to name a flow or an expectation: addresses, and whatever distinguishes flows of its protocol.

import { ValueError } from '../errors.js';
import type { TupleSpec } from './encode.js';
import { protocolByNumber } from './protocols/index.js';
import type { TupleShape } from './schema.js';
import type { TupleInput } from './tuple-input.js';

// Among equally good candidates, compilers name the last type in their messages, so PortTuple, which is usually meant, is last.

/** A complete tuple as a list gives it, with the number of its protocol; whether that has ports is known only at run time. */
export interface NumberedTuple extends TupleInput {
  readonly src: string;
  readonly dst: string;
  readonly protonum: number;
}

/** A complete tuple whose protocol is given separately, by number. */
export interface AddressTuple extends TupleInput {
  readonly src: string;
  readonly dst: string;
}

/** A complete tuple of ICMP or ICMPv6. */
export interface IcmpTuple extends TupleInput {
  readonly src: string;
  readonly dst: string;
  readonly icmpType: number;
}

/** A complete tuple of a protocol with ports or keys. */
export interface PortTuple extends TupleInput {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
}

/** Protocols whose flows are distinguished by ports or keys. */
export type PortProtocol = 'tcp' | 'udp' | 'udplite' | 'sctp' | 'dccp' | 'gre';
/** Protocols whose flows are distinguished by type, code and id. */
export type IcmpProtocol = 'icmp' | 'icmpv6';

/** What distinguishes flows of a protocol, besides their addresses. */
const DIFFER_BY = {
  ports: ['sport', 'dport'],
  keys: ['sport', 'dport'],
  icmp: ['icmpType'],
  icmpv6: ['icmpType'],
  none: [],
} as const satisfies Record<TupleShape, readonly (keyof TupleSpec)[]>;

/**
 * Refuses a tuple that does not name a single flow, as the kernel would. If not every kernel tracks the protocol, a tuple with the
 * protocol's number (`listed`) may lack ports: that is how a kernel without the tracker lists it. @throws ValueError
 */
export function requireComplete(tuple: TupleSpec, path: string, listed: number | undefined): void {
  const { name, tuple: shape, optional } = protocolByNumber(tuple.protonum!);
  const missing = DIFFER_BY[shape].filter((member) => tuple[member] === undefined);
  if (missing.length === 0 || (optional && listed !== undefined && missing.length === DIFFER_BY[shape].length)) return;
  throw new ValueError(`${path}.${missing[0]} is missing: flows of ${name} differ by it`);
}
