// FlowFilter → the predicate over a view that decides which flows are wanted.

import type { AddressBytes } from '../address.js';
import { ORIGINAL, REPLY, S, T } from '../fields.js';
import { dnatAddress, dnatPort, snatAddress, snatPort } from '../nat.js';
import { dccp } from '../protocols/dccp.js';
import { icmp } from '../protocols/icmp.js';
import { icmpv6 } from '../protocols/icmpv6.js';
import { sctp } from '../protocols/sctp.js';
import { tcp } from '../protocols/tcp.js';
import type { View } from '../view.js';
import type { End, FlowCondition, FlowFilter, Side } from './condition.js';

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
