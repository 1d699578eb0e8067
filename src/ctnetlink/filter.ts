// FlowFilter: what entries are wanted. One type that options and API calls build, and that list, update, delete and events share.
// `compileFilter` makes the predicate over a view; kernel-filter.ts finds the part that the kernel can do first.

import type { AddressBytes } from './address.js';
import { ORIGINAL, REPLY, S, T } from './fields.js';
import { dnatAddress, dnatPort, snatAddress, snatPort } from './nat.js';
import { dccp } from './protocols/dccp.js';
import { icmp } from './protocols/icmp.js';
import { icmpv6 } from './protocols/icmpv6.js';
import { sctp } from './protocols/sctp.js';
import { tcp } from './protocols/tcp.js';
import type { View } from './view.js';

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

/** Whether the flow in the view is wanted. Allocates nothing. */
export type FlowPredicate = (view: View) => boolean;

/** Compiles a filter to a predicate; `undefined` when it matches everything. */
export function compileFilter(filter: FlowFilter): FlowPredicate | undefined {
  switch (filter.kind) {
    case 'all': {
      const parts = filter.of.map(compileFilter).filter((part) => part !== undefined);
      if (parts.length <= 1) return parts[0];
      return (view) => {
        for (let i = 0; i < parts.length; i++) if (!parts[i]!(view)) return false;
        return true;
      };
    }
    case 'any': {
      const parts = filter.of.map(compileFilter);
      if (parts.includes(undefined)) return undefined;
      return (view) => {
        for (let i = 0; i < parts.length; i++) if (parts[i]!(view)) return true;
        return false;
      };
    }
    case 'not': {
      const part = compileFilter(filter.of);
      return part ? (view) => !part(view) : () => false;
    }
    default:
      return compileCondition(filter);
  }
}

function compileCondition(c: FlowCondition): FlowPredicate {
  switch (c.kind) {
    case 'family':
      return (view) => view.family === c.family;
    case 'protocol':
      return (view) => view.u8(PROTONUM) === c.protonum && view.has(PROTONUM);
    case 'address':
      return matchAddress(slotOfAddress(c.side, c.end, c.address), c.address, c.mask);
    case 'port': {
      const slot = baseOf(c.side) + (c.end === 'src' ? T.sport : T.dport);
      return (view) => view.has(slot) && view.be16(slot) === c.port;
    }
    case 'icmp': {
      const slot = ORIGINAL + ICMP_SLOTS[c.protonum][c.field];
      const wide = c.field === 'id';
      return (view) => view.has(slot) && (wide ? view.be16(slot) : view.u8(slot)) === c.value;
    }
    case 'state': {
      const slot = stateSlot(c.protonum);
      return (view) => view.has(slot) && view.u8(slot) === c.state;
    }
    case 'vtag': {
      const slot = c.side === 'original' ? S.sctpVtagOriginal : S.sctpVtagReply;
      return (view) => view.has(slot) && view.be32(slot) === c.tag;
    }
    case 'role':
      return (view) => view.has(S.dccpRole) && view.u8(S.dccpRole) === c.role;
    case 'mark':
      return (view) => (view.be32(S.mark) & c.mask) >>> 0 === c.value;
    case 'status': {
      const mask = c.set | c.clear;
      return (view) => (view.be32(S.status) & mask) === c.set;
    }
    case 'labels': {
      const words = labelWords(c.bits);
      return (view) => {
        for (let i = 0; i < words.length; i++) if ((view.labelWord(S.labels, i) & words[i]!) !== words[i]) return false;
        return true;
      };
    }
    case 'secmark':
      return (view) => view.has(S.secmark) && view.be32(S.secmark) === c.value;
    case 'zone': {
      const slot = c.side === undefined ? S.zone : baseOf(c.side) + T.tupleZone;
      return (view) => view.be16(slot) === c.zone;
    }
    case 'nat':
      return compileNat(c);
    case 'id':
      return (view) => view.has(S.id) && view.be32(S.id) === c.id;
    case 'timeout':
      return (view) => view.has(S.timeout) && view.be32(S.timeout) === c.seconds;
  }
}

const PROTONUM = ORIGINAL + T.protonum;

const ICMP_SLOTS = {
  [icmp.number]: { type: T.icmpType, code: T.icmpCode, id: T.icmpId },
  [icmpv6.number]: { type: T.icmpv6Type, code: T.icmpv6Code, id: T.icmpv6Id },
} as const;

/** Base slot of a side's tuple. */
function baseOf(side: Side): number {
  return side === 'original' ? ORIGINAL : REPLY;
}

function stateSlot(protonum: number): number {
  if (protonum === tcp.number) return S[tcp.state];
  if (protonum === sctp.number) return S[sctp.state];
  if (protonum === dccp.number) return S[dccp.state];
  throw new RangeError(`protocol ${protonum} has no state`);
}

function slotOfAddress(side: Side, end: End, address: AddressBytes): number {
  const v4 = address.length === 4;
  return baseOf(side) + (end === 'src' ? (v4 ? T.v4Src : T.v6Src) : v4 ? T.v4Dst : T.v6Dst);
}

function matchAddress(slot: number, address: AddressBytes, mask: AddressBytes | undefined): FlowPredicate {
  const size = address.length;
  const bits = mask ?? new Uint8Array(size).fill(0xff);
  const wanted = address.map((byte, i) => byte & bits[i]!);
  return (view) => {
    const at = view.offset(slot);
    if (at === 0) return false;
    for (let i = 0; i < size; i++) if ((view.bytes[at + i]! & bits[i]!) !== wanted[i]) return false;
    return true;
  };
}

function labelWords(bits: readonly number[]): Int32Array {
  const words = new Int32Array(Math.ceil((Math.max(0, ...bits) + 1) / 32));
  for (const bit of bits) words[bit >> 5]! |= 1 << (bit & 31);
  return words;
}

function compileNat(c: Extract<FlowCondition, { kind: 'nat' }>): FlowPredicate {
  if (c.nat === 'any') {
    const source = compileNat({ ...c, nat: 'src' });
    const destination = compileNat({ ...c, nat: 'dst' });
    return (view) => source(view) || destination(view);
  }
  const [translatedAddress, translatedPort, end] =
    c.nat === 'src' ? ([snatAddress, snatPort, 'dst'] as const) : ([dnatAddress, dnatPort, 'src'] as const);
  const { address, port } = c;
  if (address === undefined && port === undefined) return (view) => translatedAddress(view) || translatedPort(view);
  const toAddress = address ? matchAddress(slotOfAddress('reply', end, address), address, undefined) : undefined;
  const portSlot = REPLY + (end === 'src' ? T.sport : T.dport);
  return (view) =>
    (toAddress === undefined || (translatedAddress(view) && toAddress(view))) &&
    (port === undefined || (translatedPort(view) && view.be16(portSlot) === port));
}
