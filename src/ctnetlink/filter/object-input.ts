// Filter: which flows are meant, as callers write it: the members of a flow that must be so. → FlowFilter.

import { ValueError } from '../../errors.js';
import { type AddressBytes, familyOf, prefixMask } from '../address.js';
import type { Family, FlowState } from '../flow.js';
import { addressOf, MAX_U8, MAX_U16, MAX_U32, Members, numberOf, show } from '../members.js';
import { nameOf, type ProtocolInput, readFamily, readLabels, readProtocol, readState, readStatus } from '../protocol-input.js';
import { DCCP_ROLES, type DccpRole, type DccpState, dccp } from '../protocols/dccp.js';
import { icmp } from '../protocols/icmp.js';
import { icmpv6 } from '../protocols/icmpv6.js';
import { type SctpState, sctp } from '../protocols/sctp.js';
import type { TcpState } from '../protocols/tcp.js';
import type { Protocol } from '../schema.js';
import type { StatusName } from '../status.js';
import type { End, FlowCondition, FlowFilter, Side } from './condition.js';

/** What a direction must be like, the original one. Which members go together depends on the protocol. */
export interface OriginalMatch {
  /** Source address, or a network: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`, `10.0.0.1/255.0.0.255`. */
  readonly src?: string;
  /** Destination address or network. */
  readonly dst?: string;
  /** Source port or GRE key, 0 to 65535. */
  readonly sport?: number;
  /** Destination port or GRE key, 0 to 65535. */
  readonly dport?: number;
  /** ICMP and ICMPv6, original direction: 0 to 255. */
  readonly icmpType?: number;
  /** As `icmpType`. */
  readonly icmpCode?: number;
  /** ICMP and ICMPv6, original direction: 0 to 65535. */
  readonly icmpId?: number;
  /** Zone of this direction only, 0 to 65535; an entry without one has 0. */
  readonly zone?: number;
}

/** What a direction must be like, for protocols with ports or keys, and where no protocol is named. */
export interface TupleMatch extends OriginalMatch {
  readonly icmpType?: never;
  readonly icmpCode?: never;
  readonly icmpId?: never;
}

/** What the original direction must be like, for ICMP and ICMPv6. */
export interface IcmpMatch extends OriginalMatch {
  readonly sport?: never;
  readonly dport?: never;
}

/** What the reply direction must be like, for ICMP and ICMPv6. */
export interface AddressMatch extends TupleMatch {
  readonly sport?: never;
  readonly dport?: never;
}

/** Translated at all, to this address, or to this address and port. */
export type NatMatch = true | string | { readonly address?: string; readonly port?: number };

/** As `NatMatch`, for protocols without ports. */
export type AddressNatMatch = true | string | { readonly address?: string; readonly port?: never };

/** The members of a filter. Which of them go together depends on the protocol: `Filter` says it. */
export interface FilterMembers {
  readonly family?: Family;
  /** Layer-4 protocol. Matches `-p`. */
  readonly protocol?: ProtocolInput;
  /** Matches `-s`, `-d`, `--sport`, `--dport`, `--icmp-type` and its kin, `--orig-zone`. */
  readonly original?: OriginalMatch;
  /** Matches `-r`, `-q`, `--reply-port-src`, `--reply-port-dst`, `--reply-zone`. */
  readonly reply?: TupleMatch;
  /** State of the tracker; needs `protocol` tcp, sctp or dccp. Matches `--state`. */
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
  /** Verification tags of SCTP. Matches `--orig-vtag`, `--reply-vtag`. */
  readonly sctp?: { readonly vtagOriginal?: number; readonly vtagReply?: number };
  /** Role of the original direction of DCCP. Matches `--role`. */
  readonly dccp?: { readonly role?: DccpRole };
  /** All of these hold as well. */
  readonly all?: readonly Filter[];
  /** At least one of these holds as well. */
  readonly any?: readonly Filter[];
  /** This does not hold. */
  readonly not?: Filter;
}

/** Of every protocol, so without a state. */
interface AnyFilter extends FilterMembers {
  readonly protocol?: never;
  readonly original?: TupleMatch;
  readonly state?: never;
}

interface TcpFilter extends FilterMembers {
  readonly protocol: 'tcp';
  readonly original?: TupleMatch;
  readonly state?: TcpState;
  readonly sctp?: never;
  readonly dccp?: never;
}

interface SctpFilter extends FilterMembers {
  readonly protocol: 'sctp';
  readonly original?: TupleMatch;
  readonly state?: SctpState;
  readonly dccp?: never;
}

interface DccpFilter extends FilterMembers {
  readonly protocol: 'dccp';
  readonly original?: TupleMatch;
  readonly state?: DccpState;
  readonly sctp?: never;
}

interface StatelessFilter extends FilterMembers {
  readonly protocol: 'udp' | 'udplite' | 'gre';
  readonly original?: TupleMatch;
  readonly state?: never;
  readonly sctp?: never;
  readonly dccp?: never;
}

interface IcmpFilter extends FilterMembers {
  readonly protocol: 'icmp' | 'icmpv6';
  readonly original?: IcmpMatch;
  readonly reply?: AddressMatch;
  readonly state?: never;
  readonly srcNat?: AddressNatMatch;
  readonly dstNat?: AddressNatMatch;
  readonly anyNat?: AddressNatMatch;
  readonly sctp?: never;
  readonly dccp?: never;
}

/** The compiler cannot tell which members suit a number. */
interface NumberFilter extends FilterMembers {
  readonly protocol: number;
}

/**
 * Which flows are meant, by {@link FilterMembers}. Every member that is given must hold; `{}` means all flows. A member whose value is
 * `undefined`, one that does not exist, and one that flows of this protocol have not, such as a port of icmp or a state of udp, are
 * refused with a `ValueError`, so that a slip never means more flows than were meant. The compiler refuses them too, `undefined` only
 * with `exactOptionalPropertyTypes`.
 */
export type Filter = AnyFilter | TcpFilter | SctpFilter | DccpFilter | StatelessFilter | IcmpFilter | NumberFilter;

/** Nothing that changes while a flow lives. */
interface Lasting {
  readonly state?: never;
  readonly mark?: never;
  readonly status?: never;
  readonly labels?: never;
  readonly timeout?: never;
  readonly secmark?: never;
  readonly sctp?: never;
  readonly dccp?: never;
  readonly all?: readonly WatchFilter[];
  readonly any?: readonly WatchFilter[];
  readonly not?: WatchFilter;
}

/**
 * A `Filter` about what never changes in a flow: protocol, addresses, ports, zone, id, translation; not mark, status, state,
 * labels, times. A flow that matches once matches as long as it lives.
 */
export type WatchFilter = Filter & Lasting;

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
    const condition = natCondition(members, name, nat, protonum);
    if (condition) of.push(condition);
  }
  of.push(...protocolConditions(members, protonum));
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
    if (port === undefined) continue;
    refusePort(tuple.at(name), protonum);
    of.push({ kind: 'port', side, end, port });
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

/** A protocol without a tracker of its own may have ports in kernels to come. */
function refusePort(path: string, protonum: number | undefined): void {
  if (protonum === icmp.number || protonum === icmpv6.number)
    throw new ValueError(`${path}: ${nameOf(protonum)} has no ports`, { hint: 'its flows have icmpType, icmpCode and icmpId' });
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

function natCondition(
  members: Members,
  name: string,
  nat: 'src' | 'dst' | 'any',
  protonum: number | undefined,
): FlowCondition | undefined {
  const value = members.get(name);
  if (value === undefined) return undefined;
  if (value === true) return { kind: 'nat', nat };
  if (typeof value === 'string') return { kind: 'nat', nat, address: addressOf(value, members.at(name)) };
  const { address, port } = readNat(members.members(name, true)!);
  if (port !== undefined) refusePort(`${members.at(name)}.port`, protonum);
  return { kind: 'nat', nat, ...(address ? { address } : {}), ...(port === undefined ? {} : { port }) };
}

/** `{ address, port }`. */
export function readNat(nat: Members): { address: AddressBytes | undefined; port: number | undefined } {
  const address = nat.address('address');
  const port = nat.number('port', MAX_U16);
  nat.end();
  return { address, port };
}

function protocolConditions(members: Members, protonum: number | undefined): FlowCondition[] {
  const of: FlowCondition[] = [];
  const tags = membersOf(members, sctp, protonum);
  for (const [name, side] of [
    ['vtagOriginal', 'original'],
    ['vtagReply', 'reply'],
  ] as const) {
    const tag = tags?.number(name, MAX_U32);
    if (tag !== undefined) of.push({ kind: 'vtag', side, tag });
  }
  tags?.end();
  const roles = membersOf(members, dccp, protonum);
  const role = roles?.oneOf('role', DCCP_ROLES);
  if (role !== undefined) of.push({ kind: 'role', role: DCCP_ROLES.indexOf(role) });
  roles?.end();
  return of;
}

/** What only flows of one protocol have, in a member of its name. */
function membersOf(members: Members, { name, number }: Protocol, protonum: number | undefined): Members | undefined {
  const part = members.members(name, true);
  if (part && protonum !== undefined && protonum !== number)
    throw new ValueError(`${members.at(name)}: only ${name} has this, and the protocol is ${nameOf(protonum)}`);
  return part;
}
