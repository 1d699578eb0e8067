// FlowFilter: what entries are wanted. One type that options and API calls build, and that list, update, delete and events share.
// compile.ts makes the predicate over a view; kernel-filter.ts finds the part that the kernel can do first.

import type { AddressBytes } from '../address.js';

export type Side = 'original' | 'reply';
export type End = 'src' | 'dst';

/** One condition. Numbers are in the host's sense (a port is 80, not its network bytes). */
export type FlowCondition =
  /** AF_INET or AF_INET6. */
  | { readonly kind: 'family'; readonly family: number }
  /** Layer-4 protocol of the original tuple, 0 to 255. */
  | { readonly kind: 'protocol'; readonly protonum: number }
  /** `(entry & mask) == (address & mask)`; without a mask every bit counts. An address of another family never matches. */
  | {
      readonly kind: 'address';
      readonly side: Side;
      readonly end: End;
      readonly address: AddressBytes;
      readonly mask?: AddressBytes;
    }
  /** Port, or GRE key: 0 to 65535. An entry of a protocol that this kernel does not track has none. */
  | { readonly kind: 'port'; readonly side: Side; readonly end: End; readonly port: number }
  /** A field of the original tuple of an ICMP or ICMPv6 entry. */
  | { readonly kind: 'icmp'; readonly protonum: 1 | 58; readonly field: 'type' | 'code' | 'id'; readonly value: number }
  /** Kernel number of the tracker's state, for TCP, SCTP or DCCP. */
  | { readonly kind: 'state'; readonly protonum: number; readonly state: number }
  /** SCTP verification tag. */
  | { readonly kind: 'vtag'; readonly side: Side; readonly tag: number }
  /** DCCP role of the original direction: 0 client, 1 server. */
  | { readonly kind: 'role'; readonly role: number }
  /** `(mark & mask) == value`; an entry without the attribute has mark 0. Value bits outside the mask never match. */
  | { readonly kind: 'mark'; readonly value: number; readonly mask: number }
  /** All bits of `set` are set and all of `clear` are clear. */
  | { readonly kind: 'status'; readonly set: number; readonly clear: number }
  /** Every one of these label bits is set. */
  | { readonly kind: 'labels'; readonly bits: readonly number[] }
  /** Equal to the obsolete secmark number; an entry without one never matches. */
  | { readonly kind: 'secmark'; readonly value: number }
  /** Equal to the entry's zone, or to that of one direction; absent is 0. */
  | { readonly kind: 'zone'; readonly side?: Side; readonly zone: number }
  /** The entry is translated, to this address and port where they are given. Rules: docs/behaviour.md 4.3. */
  | { readonly kind: 'nat'; readonly nat: 'src' | 'dst' | 'any'; readonly address?: AddressBytes; readonly port?: number }
  | { readonly kind: 'id'; readonly id: number }
  /** Exactly this many seconds are left. */
  | { readonly kind: 'timeout'; readonly seconds: number };

/** A condition, or a combination. `all` of nothing matches everything, `any` of nothing matches nothing. */
export type FlowFilter =
  | FlowCondition
  | { readonly kind: 'all'; readonly of: readonly FlowFilter[] }
  | { readonly kind: 'any'; readonly of: readonly FlowFilter[] }
  | { readonly kind: 'not'; readonly of: FlowFilter };

/** The filter that matches everything. */
export const MATCH_ALL: FlowFilter = { kind: 'all', of: [] };

/** Conditions on what a flow keeps as long as it lives. */
const CONSTANT: ReadonlySet<FlowCondition['kind']> = new Set([
  'family',
  'protocol',
  'address',
  'port',
  'icmp',
  'zone',
  'nat',
  'id',
]);

/** Whether a flow that matches once matches as long as it lives. */
export function isConstant(filter: FlowFilter): boolean {
  if (filter.kind === 'all' || filter.kind === 'any') return filter.of.every(isConstant);
  return filter.kind === 'not' ? isConstant(filter.of) : CONSTANT.has(filter.kind);
}
