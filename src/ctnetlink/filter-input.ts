// Filter: which flows are meant, as callers write it: the members of a flow that must be so. → FlowFilter.

import { ValueError } from '../errors.js';
import { type AddressBytes, familyOf, prefixMask } from './address.js';
import type { End, FlowCondition, FlowFilter, Side } from './filter.js';
import type { Family, FlowState } from './flow.js';
import { addressOf, MAX_U8, MAX_U16, MAX_U32, Members, numberOf, show } from './members.js';
import { type ProtocolInput, readFamily, readLabels, readProtocol, readState, readStatus } from './protocol-input.js';
import { DCCP_ROLES, type DccpRole } from './protocols/dccp.js';
import { icmp } from './protocols/icmp.js';
import { icmpv6 } from './protocols/icmpv6.js';
import type { StatusName } from './status.js';

/** What a direction must be like. */
export interface TupleMatch {
  /** Source address, or a network: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`, `10.0.0.1/255.0.0.255`. */
  readonly src?: string;
  /** Destination address or network. */
  readonly dst?: string;
  /** Source port or GRE key, 0 to 65535. */
  readonly sport?: number;
  /** Destination port or GRE key, 0 to 65535. */
  readonly dport?: number;
  /** Zone of this direction only, 0 to 65535; an entry without one has 0. */
  readonly zone?: number;
}

/** As `TupleMatch`, with the ICMP fields: they need `protocol` icmp or icmpv6. */
export interface OriginalMatch extends TupleMatch {
  /** 0 to 255. */
  readonly icmpType?: number;
  /** 0 to 255. */
  readonly icmpCode?: number;
  /** 0 to 65535. */
  readonly icmpId?: number;
}

/** Translated at all, to this address, or to this address and port. */
export type NatMatch = true | string | { readonly address?: string; readonly port?: number };

/**
 * Which flows are meant. Every member that is given must hold; `{}` means all flows. A member whose value is `undefined`, and one
 * that does not exist, is refused with a `ValueError`, so that a slip never means more flows than were meant.
 */
export interface Filter {
  readonly family?: Family;
  /** Layer-4 protocol. Matches `-p`. */
  readonly protocol?: ProtocolInput;
  /** Matches `-s`, `-d`, `--sport`, `--dport`, `--orig-zone`. */
  readonly original?: OriginalMatch;
  /** Matches `-r`, `-q`, `--reply-port-src`, `--reply-port-dst`, `--reply-zone`. */
  readonly reply?: TupleMatch;
  /** State of the tracker; needs `protocol`. Matches `--state`. */
  readonly state?: FlowState;
  /** The ctmark is this, or `(mark & mask) === value`. A flow without marks has 0. Matches `-m`. */
  readonly mark?: number | { readonly value: number; readonly mask: number };
  /** All of these bits are set; `{ not: { status: [...] } }` for the contrary. Matches `-u`. */
  readonly status?: readonly StatusName[];
  /** All of these label bits are set. Matches `-l`. */
  readonly labels?: readonly number[];
  /** Zone of both directions, 0 to 65535. Matches `-w`. */
  readonly zone?: number;
  /** Identifier of the entry. Matches `-i`. */
  readonly id?: number;
  /** Exactly this many seconds are left. Matches `-t`. */
  readonly timeout?: number;
  /** The obsolete secmark number. Matches `-c`. */
  readonly secmark?: number;
  /** Source-translated. Matches `-n`. */
  readonly srcNat?: NatMatch;
  /** Destination-translated. Matches `-g`. */
  readonly dstNat?: NatMatch;
  /** Translated in any way. Matches `-j`. */
  readonly anyNat?: NatMatch;
  /** Verification tags. Matches `--orig-vtag`, `--reply-vtag`. */
  readonly sctp?: { readonly vtagOriginal?: number; readonly vtagReply?: number };
  /** Role of the original direction. Matches `--role`. */
  readonly dccp?: { readonly role?: DccpRole };
  /** All of these hold as well. */
  readonly all?: readonly Filter[];
  /** At least one of these holds as well. */
  readonly any?: readonly Filter[];
  /** This does not hold. */
  readonly not?: Filter;
}

/** @throws ValueError */
export function toFlowFilter(filter: Filter, path = ''): FlowFilter {
  const members = new Members(filter, path, true);
  const of: FlowFilter[] = [];
  const family = readFamily(members);
  const protonum = readProtocol(members);
  if (family !== undefined) of.push({ kind: 'family', family });
  if (protonum !== undefined) of.push({ kind: 'protocol', protonum });
  for (const side of ['original', 'reply'] as const) of.push(...tupleConditions(members, side, protonum));
  const state = readState(members, protonum);
  if (state !== undefined) of.push({ kind: 'state', protonum: protonum!, state });
  const mark = readMark(members);
  if (mark) of.push({ kind: 'mark', ...mark });
  const status = readStatus(members);
  if (status !== undefined) of.push({ kind: 'status', set: status, clear: 0 });
  const labels = readLabels(members, 'labels', MAX_LABEL);
  if (labels) of.push({ kind: 'labels', bits: labels });
  const zone = members.number('zone', MAX_U16);
  if (zone !== undefined) of.push({ kind: 'zone', zone });
  const id = members.number('id', MAX_U32);
  if (id !== undefined) of.push({ kind: 'id', id });
  const seconds = members.number('timeout', MAX_U32);
  if (seconds !== undefined) of.push({ kind: 'timeout', seconds });
  const secmark = members.number('secmark', MAX_U32);
  if (secmark !== undefined) of.push({ kind: 'secmark', value: secmark });
  for (const [name, nat] of [
    ['srcNat', 'src'],
    ['dstNat', 'dst'],
    ['anyNat', 'any'],
  ] as const) {
    const condition = natCondition(members, name, nat);
    if (condition) of.push(condition);
  }
  of.push(...protocolConditions(members));
  const list = (name: string) => members.list(name)?.map((item, i) => toFlowFilter(item as Filter, members.at(`${name}[${i}]`)));
  of.push(...(list('all') ?? []));
  const any = list('any');
  if (any) of.push({ kind: 'any', of: any });
  const not = members.get('not');
  if (not !== undefined) of.push({ kind: 'not', of: toFlowFilter(not as Filter, members.at('not')) });
  members.end();
  return { kind: 'all', of };
}

/** Kernels store 128 labels, but a filter may ask for any that a label file can name. */
const MAX_LABEL = 1023;

function tupleConditions(members: Members, side: Side, protonum: number | undefined): FlowCondition[] {
  const tuple = members.members(side, true);
  if (!tuple) return [];
  const of: FlowCondition[] = [];
  for (const end of ['src', 'dst'] as const satisfies readonly End[]) {
    const network = tuple.get(end);
    if (network !== undefined) of.push({ kind: 'address', side, end, ...networkOf(network, tuple.at(end)) });
  }
  for (const [end, name] of [
    ['src', 'sport'],
    ['dst', 'dport'],
  ] as const) {
    const port = tuple.number(name, MAX_U16);
    if (port !== undefined) of.push({ kind: 'port', side, end, port });
  }
  if (side === 'original')
    for (const [field, name, max] of [
      ['type', 'icmpType', MAX_U8],
      ['code', 'icmpCode', MAX_U8],
      ['id', 'icmpId', MAX_U16],
    ] as const) {
      const value = tuple.number(name, max);
      if (value === undefined) continue;
      if (protonum !== icmp.number && protonum !== icmpv6.number)
        throw new ValueError(`${tuple.at(name)} needs protocol icmp or icmpv6`);
      of.push({ kind: 'icmp', protonum: protonum === icmp.number ? 1 : 58, field, value });
    }
  const zone = tuple.number('zone', MAX_U16);
  if (zone !== undefined) of.push({ kind: 'zone', side, zone });
  tuple.end();
  return of;
}

/** `ADDRESS`, `ADDRESS/BITS`, `ADDRESS/MASK`. */
function networkOf(value: unknown, path: string): { address: AddressBytes; mask?: AddressBytes } {
  const [text, suffix, ...rest] = typeof value === 'string' ? value.split('/') : [];
  if (text === undefined || rest.length > 0) throw new ValueError(`${path} must be an address or a network, not ${show(value)}`);
  const address = addressOf(text, path);
  if (suffix === undefined) return { address };
  if (/^\d{1,3}$/.test(suffix)) {
    const length = numberOf(Number(suffix), address.length * 8, `the prefix length of ${path}`);
    return length === address.length * 8 ? { address } : { address, mask: prefixMask(length, address.length) };
  }
  const mask = addressOf(suffix, `the mask of ${path}`);
  if (familyOf(mask) !== familyOf(address)) throw new ValueError(`the mask of ${path} is of another family than the address`);
  return { address, mask };
}

function readMark(members: Members): { value: number; mask: number } | undefined {
  if (typeof members.get('mark') !== 'object') {
    const value = members.number('mark', MAX_U32);
    return value === undefined ? undefined : { value, mask: MAX_U32 };
  }
  return readMarkAndMask(members.members('mark', true)!);
}

/** `{ value, mask }`; the mask is all ones where it is absent. */
export function readMarkAndMask(mark: Members): { value: number; mask: number } {
  const value = mark.number('value', MAX_U32);
  if (value === undefined) throw new ValueError(`${mark.at('value')} is missing`);
  const mask = mark.number('mask', MAX_U32) ?? MAX_U32;
  mark.end();
  return { value, mask };
}

function natCondition(members: Members, name: string, nat: 'src' | 'dst' | 'any'): FlowCondition | undefined {
  const value = members.get(name);
  if (value === undefined) return undefined;
  if (value === true) return { kind: 'nat', nat };
  if (typeof value === 'string') return { kind: 'nat', nat, address: addressOf(value, members.at(name)) };
  const { address, port } = readNat(members.members(name, true)!);
  return { kind: 'nat', nat, ...(address ? { address } : {}), ...(port === undefined ? {} : { port }) };
}

/** `{ address, port }`. */
export function readNat(nat: Members): { address: AddressBytes | undefined; port: number | undefined } {
  const address = nat.address('address');
  const port = nat.number('port', MAX_U16);
  nat.end();
  return { address, port };
}

function protocolConditions(members: Members): FlowCondition[] {
  const of: FlowCondition[] = [];
  const sctp = members.members('sctp', true);
  for (const [name, side] of [
    ['vtagOriginal', 'original'],
    ['vtagReply', 'reply'],
  ] as const) {
    const tag = sctp?.number(name, MAX_U32);
    if (tag !== undefined) of.push({ kind: 'vtag', side, tag });
  }
  sctp?.end();
  const dccp = members.members('dccp', true);
  const role = dccp?.oneOf('role', DCCP_ROLES);
  if (role !== undefined) of.push({ kind: 'role', role: DCCP_ROLES.indexOf(role) });
  dccp?.end();
  return of;
}
