// Tuple: one side of a flow as an owned object, and how a view becomes one.

import type { AddressTexts } from './address-texts.js';
import { T } from './fields.js';
import { INSPECT, toPlain } from './plain.js';
import type { View } from './view.js';

/**
 * Addresses, protocol and ports of one direction. Members that the protocol lacks are absent. Source: struct nf_conntrack_tuple,
 * CTA_TUPLE_*.
 */
export interface Tuple {
  /** Source address: dotted IPv4, or compressed lower-case IPv6. Absent only for other families (kernels before 4.19). */
  readonly src: string;
  /** Destination address, spelled as `src`. */
  readonly dst: string;
  /** Layer-4 protocol number, 0 to 255: 6 is TCP. */
  readonly protonum: number;
  /** Source port, 0 to 65535; for GRE the call key. Absent for protocols that have no ports or that this kernel does not track. */
  readonly sport?: number | undefined;
  /** Destination port, 0 to 65535; for GRE the call key. Absent as `sport`. */
  readonly dport?: number | undefined;
  /** ICMP or ICMPv6 type, 0 to 255. ICMP and ICMPv6 only. */
  readonly icmpType?: number | undefined;
  /** ICMP or ICMPv6 code, 0 to 255. ICMP and ICMPv6 only. */
  readonly icmpCode?: number | undefined;
  /** ICMP or ICMPv6 echo identifier, 0 to 65535. ICMP and ICMPv6 only. */
  readonly icmpId?: number | undefined;
  /** Zone of this direction only, 1 to 65535. Absent when the zone is 0 or that of both directions (`flow.zone`). */
  readonly zone?: number | undefined;
}

/** The tuple at `base` of a view. */
export function toTuple(view: View, base: number, addresses: AddressTexts): Tuple {
  return new TupleObject(view, base, addresses);
}

/** Always all members in the same order, so that every tuple has the same hidden class. */
class TupleObject implements Tuple {
  readonly src: string;
  readonly dst: string;
  readonly protonum: number;
  readonly sport: number | undefined;
  readonly dport: number | undefined;
  readonly icmpType: number | undefined;
  readonly icmpCode: number | undefined;
  readonly icmpId: number | undefined;
  readonly zone: number | undefined;

  constructor(view: View, base: number, addresses: AddressTexts) {
    this.src = sourceOf(view, base, addresses)!;
    this.dst = destinationOf(view, base, addresses)!;
    this.protonum = u8Of(view, base + T.protonum)!;
    this.sport = be16Of(view, base + T.sport);
    this.dport = be16Of(view, base + T.dport);
    this.icmpType = u8Of(view, base + T.icmpType) ?? u8Of(view, base + T.icmpv6Type);
    this.icmpCode = u8Of(view, base + T.icmpCode) ?? u8Of(view, base + T.icmpv6Code);
    this.icmpId = be16Of(view, base + T.icmpId) ?? be16Of(view, base + T.icmpv6Id);
    this.zone = be16Of(view, base + T.tupleZone);
  }

  [INSPECT](): object {
    return toPlain(this);
  }
}

export function sourceOf(view: View, base: number, addresses: AddressTexts): string | undefined {
  if (view.has(base + T.v4Src)) return addresses.ipv4(view.bytes, view.offset(base + T.v4Src));
  return view.has(base + T.v6Src) ? addresses.ipv6(view.bytes, view.offset(base + T.v6Src)) : undefined;
}

export function destinationOf(view: View, base: number, addresses: AddressTexts): string | undefined {
  if (view.has(base + T.v4Dst)) return addresses.ipv4(view.bytes, view.offset(base + T.v4Dst));
  return view.has(base + T.v6Dst) ? addresses.ipv6(view.bytes, view.offset(base + T.v6Dst)) : undefined;
}

export function u8Of(view: View, slot: number): number | undefined {
  return view.has(slot) ? view.u8(slot) : undefined;
}

export function be16Of(view: View, slot: number): number | undefined {
  return view.has(slot) ? view.be16(slot) : undefined;
}

export function be32Of(view: View, slot: number): number | undefined {
  return view.has(slot) ? view.be32(slot) : undefined;
}

export function be64Of(view: View, slot: number): bigint | undefined {
  return view.has(slot) ? view.be64(slot) : undefined;
}
