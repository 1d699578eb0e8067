// FlowFilter: what entries are wanted. One type that options, objects and the filter language build, and that list, update, delete and
// events share. compile.ts makes the predicate over a view; kernel-plan.ts and event-program.ts find the part that the kernel can do
// first. Whoever switches on a kind names every kind, so that a new one is not overlooked.

import type { AddressBytes } from '../address.js';
import { bitOfName, STATUS_NAMES } from '../status.js';
import { type AddressSet, addressSet, type Ranges, rangesOf } from './sets.js';

export type Side = 'original' | 'reply';
export type End = 'src' | 'dst';

/** One end of one tuple. */
export interface TupleEnd {
  readonly side: Side | 'master';
  readonly end: End;
}

/** Both ends of a tuple. */
export function endsOf(side: TupleEnd['side']): readonly TupleEnd[] {
  return [
    { side, end: 'src' },
    { side, end: 'dst' },
  ];
}

/** The ends of both directions. */
export const FLOW_ENDS: readonly TupleEnd[] = [...endsOf('original'), ...endsOf('reply')];

/** Where a translation shows: the reply goes to the translated source, and comes from the translated destination. */
export function translatedEnd(nat: End): TupleEnd {
  return { side: 'reply', end: nat === 'src' ? 'dst' : 'src' };
}

/** Numbers that an entry has once. number-fields.ts says where. */
export type NumberField =
  | 'protocol'
  | 'icmpType'
  | 'icmpCode'
  | 'icmpId'
  | 'icmpv6Type'
  | 'icmpv6Code'
  | 'icmpv6Id'
  | 'zone'
  | 'originalZone'
  | 'replyZone'
  | 'id'
  | 'timeout'
  | 'use'
  | 'secmark'
  | 'vtagOriginal'
  | 'vtagReply'
  | 'role';

/** Names of what an entry may have or not. */
export const PRESENCES = [
  'port',
  'key',
  'state',
  'mark',
  'label',
  'helper',
  'zone',
  'bytes',
  'packets',
  'start',
  'stop',
  'timeout',
  'id',
  'use',
  'secmark',
  'secctx',
  'master',
  'seqadj',
  'synproxy',
] as const;
/** Something that a flow may have or not, as filters ask for it. */
export type Presence = (typeof PRESENCES)[number];

/** One condition. Numbers are in the host's sense (a port is 80, not its network bytes). A set is never empty. */
export type FlowCondition =
  /** AF_INET or AF_INET6. */
  | { readonly kind: 'family'; readonly family: number }
  /** One of these numbers. */
  | { readonly kind: 'number'; readonly field: NumberField; readonly ranges: Ranges }
  /** The address of one of these ends is in the set, or its address and port are. */
  | { readonly kind: 'address'; readonly ends: readonly TupleEnd[]; readonly set: AddressSet }
  /** One of these ends has one of these ports; keys are those of GRE. */
  | { readonly kind: 'port'; readonly ends: readonly TupleEnd[]; readonly of: 'port' | 'key'; readonly ranges: Ranges }
  /** The tracker, whichever it is, has a state of one of these names: ESTABLISHED. */
  | { readonly kind: 'state'; readonly names: readonly string[] }
  /** `mark & mask` is one of these numbers; an entry without the attribute has mark 0. */
  | { readonly kind: 'mark'; readonly mask: number; readonly ranges: Ranges }
  /** This status bit is set. */
  | { readonly kind: 'status'; readonly bit: number }
  /** One of these label bits is set. */
  | { readonly kind: 'label'; readonly bits: readonly number[] }
  /** The entry is translated: address, port or both. Rules: docs/behaviour.md 4.3. */
  | { readonly kind: 'nat'; readonly nat: 'src' | 'dst' }
  /** It is translated so, and seen as one of these addresses, or with one of these ports, behind the translation. */
  | { readonly kind: 'natTo'; readonly nat: 'src' | 'dst'; readonly set?: AddressSet; readonly ports?: Ranges }
  /** A counter of one direction, or the sum of both. */
  | { readonly kind: 'counter'; readonly of: 'bytes' | 'packets'; readonly side?: Side; readonly ranges: Ranges }
  /** Milliseconds from the start to the end, or until now. */
  | { readonly kind: 'age'; readonly ranges: Ranges }
  /** Nanoseconds since the epoch: at or after `from`, before `before`. One of them is there. */
  | { readonly kind: 'time'; readonly of: 'start' | 'stop'; readonly from?: bigint; readonly before?: bigint }
  /** Equal to one of these. */
  | { readonly kind: 'text'; readonly field: 'helper' | 'secctx'; readonly values: readonly string[] }
  /** The message has it. */
  | { readonly kind: 'has'; readonly what: Presence };

/** A condition, or a combination. `all` of nothing matches everything, `any` of nothing matches nothing. */
export type FlowFilter =
  | FlowCondition
  | { readonly kind: 'all'; readonly of: readonly FlowFilter[] }
  | { readonly kind: 'any'; readonly of: readonly FlowFilter[] }
  | { readonly kind: 'not'; readonly of: FlowFilter };

/** The filter that matches everything. */
export const MATCH_ALL: FlowFilter = { kind: 'all', of: [] };
/** The filter that matches nothing. */
export const MATCH_NONE: FlowFilter = { kind: 'any', of: [] };

/** Numbers of all kinds are 32 bits wide or narrower, but for counters and ages. */
export const MAX_COUNT = Number.MAX_SAFE_INTEGER;
/** The greatest age in milliseconds: in seconds, as objects have it, it keeps its fraction. */
export const MAX_AGE = 1e15;

/** The number is exactly this. */
export function numberIs(field: NumberField, value: number): FlowCondition {
  return { kind: 'number', field, ranges: [value, value] };
}

/** One end of a direction has this address, or one that differs only where the mask has no bits. */
export function addressIs(side: TupleEnd['side'], end: End, address: AddressBytes, mask?: AddressBytes): FlowCondition {
  return { kind: 'address', ends: [{ side, end }], set: addressSet(address, mask) };
}

/** One end of a direction has this port, or this key of GRE. */
export function portIs(side: TupleEnd['side'], end: End, port: number, of: 'port' | 'key' = 'port'): FlowCondition {
  return { kind: 'port', ends: [{ side, end }], of, ranges: [port, port] };
}

/** `(mark & mask) == value`: of nothing, when the value has bits outside the mask. */
export function markIs(value: number, mask = 0xffffffff): FlowFilter {
  return (value & ~mask) === 0 ? { kind: 'mark', mask, ranges: [value, value] } : MATCH_NONE;
}

/** All bits of `set` are set and all of `clear` are clear. */
export function statusIs(set: number, clear: number): FlowFilter[] {
  const of: FlowFilter[] = [];
  for (let bit = 0; bit < 32; bit++) {
    if ((set >>> bit) & 1) of.push({ kind: 'status', bit });
    if ((clear >>> bit) & 1) of.push({ kind: 'not', of: { kind: 'status', bit } });
  }
  return of;
}

/** The bit of a name of STATUS_NAMES. */
export function statusBit(name: (typeof STATUS_NAMES)[number]): FlowCondition {
  return { kind: 'status', bit: bitOfName(STATUS_NAMES, name)! };
}

/** Every one of these bits is set. */
export function labelsAre(bits: readonly number[]): FlowFilter[] {
  return bits.map((bit) => ({ kind: 'label', bits: [bit] }));
}

/** The entry is translated in this way, to this address and this port, each of which was another before. */
export function natIs(nat: 'src' | 'dst' | 'any', address?: AddressBytes, port?: number): FlowFilter {
  if (nat === 'any') return { kind: 'any', of: [natIs('src', address, port), natIs('dst', address, port)] };
  if (address === undefined && port === undefined) return { kind: 'nat', nat };
  const of: FlowFilter[] = [
    {
      kind: 'natTo',
      nat,
      ...(address && { set: addressSet(address) }),
      ...(port !== undefined && { ports: rangesOf([[port, port]]) }),
    },
  ];
  if (address) of.push({ kind: 'not', of: addressIs('original', nat, address) });
  if (port !== undefined)
    for (const what of ['port', 'key'] as const) of.push({ kind: 'not', of: portIs('original', nat, port, what) });
  return { kind: 'all', of };
}
