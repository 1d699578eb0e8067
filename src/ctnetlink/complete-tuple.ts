// What a tuple needs to name a flow or an expectation: addresses, and what its protocol tells flows apart by.

import { ValueError } from '../errors.js';
import type { TupleSpec } from './encode.js';
import { protocolByNumber } from './protocols/index.js';
import type { TupleShape } from './schema.js';
import type { TupleInput } from './tuple-input.js';

// Of types that fit as well, compilers name the last in their messages: PortTuple is what is mostly meant.

/** A complete tuple as it is listed, with the number of its protocol: whether that has ports is known at run time only. */
export interface NumberedTuple extends TupleInput {
  readonly src: string;
  readonly dst: string;
  readonly protonum: number;
}

/** A complete tuple whose protocol is given by number beside it. */
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

/** Protocols whose flows differ by ports, or keys. */
export type PortProtocol = 'tcp' | 'udp' | 'udplite' | 'sctp' | 'dccp' | 'gre';
/** Protocols whose flows differ by type, code and id. */
export type IcmpProtocol = 'icmp' | 'icmpv6';

/** What flows of a protocol differ by, besides their addresses. */
const DIFFER_BY = {
  ports: ['sport', 'dport'],
  keys: ['sport', 'dport'],
  icmp: ['icmpType'],
  icmpv6: ['icmpType'],
  none: [],
} as const satisfies Record<TupleShape, readonly (keyof TupleSpec)[]>;

/**
 * Refuses a tuple that names no single flow; the kernel would refuse it. Of a protocol that not every kernel tracks, a tuple that has
 * the number (`listed`) may be without ports: so it is listed where the kernel does not. @throws ValueError
 */
export function requireComplete(tuple: TupleSpec, path: string, listed: number | undefined): void {
  const { name, tuple: shape, optional } = protocolByNumber(tuple.protonum!);
  const missing = DIFFER_BY[shape].filter((member) => tuple[member] === undefined);
  if (missing.length === 0 || (optional && listed !== undefined && missing.length === DIFFER_BY[shape].length)) return;
  throw new ValueError(`${path}.${missing[0]} is missing: flows of ${name} differ by it`);
}
