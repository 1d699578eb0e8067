// Filter: which flows are meant, as callers write it: the members of a flow that must be so. → FlowFilter.
// A filter in text becomes the same objects (to-object.ts), so this is where all filters of the library come in.

import { ValueError } from '../../errors.js';
import { formatAddress, parseAddress } from '../address.js';
import type { Family, FlowState } from '../flow.js';
import { MAX_U8, MAX_U16, MAX_U32, Members, numberOf, show } from '../members.js';
import { nameOf, type ProtocolInput, protonumOf, readFamily, readLabels, readStatus } from '../protocol-input.js';
import { DCCP_ROLES, type DccpRole, type DccpState, dccp } from '../protocols/dccp.js';
import { gre } from '../protocols/gre.js';
import { icmp } from '../protocols/icmp.js';
import { icmpv6 } from '../protocols/icmpv6.js';
import { PROTOCOLS, protocolByNumber } from '../protocols/index.js';
import { type SctpState, sctp } from '../protocols/sctp.js';
import type { TcpState } from '../protocols/tcp.js';
import type { Protocol } from '../schema.js';
import type { StatusName } from '../status.js';
import { readAddresses } from './address-values.js';
import {
  type End,
  endsOf,
  FLOW_ENDS,
  type FlowCondition,
  type FlowFilter,
  labelsAre,
  MAX_AGE,
  MAX_COUNT,
  markIs,
  type NumberField,
  natIs,
  PRESENCES,
  type Presence,
  type Side,
  statusIs,
  type TupleEnd,
} from './condition.js';
import { maxOf } from './number-fields.js';
import { type AddressSet, addressSet, type Ranges, rangesOf, unionOfAddresses } from './sets.js';
import { parseTime } from './times.js';

/** Both ends are in. */
export type NumberRange = readonly [from: number, to: number];

/** A number; several numbers and ranges, one of which it must be in; or bounds, both of which are in. */
export type Numbers = number | readonly (number | NumberRange)[] | { readonly min?: number; readonly max?: number };

/**
 * An address `192.0.2.7`, a network `2001:db8::/32` or `10.0.0.1/255.0.0.255`, a range `10.0.0.1-10.0.0.9`, an address and a port of the
 * same end `192.0.2.7:443` or `[2001:db8::1]:443`, or a name: `private`, `cgnat`, `loopback`, `link-local`, `multicast`, `public`.
 * Or several of them, one of which it must be in.
 */
export type Addresses = string | readonly string[];

/** From a moment on, and before another: RFC 3339 with a zone, or nanoseconds since the epoch. */
export interface TimeRange {
  /** At or after. */
  readonly after?: string | bigint;
  /** Before. */
  readonly before?: string | bigint;
}

/** What an end of a tuple must be like. */
interface EndMatch {
  /** Source address. */
  readonly src?: Addresses;
  /** Destination address. */
  readonly dst?: Addresses;
  /** One of both addresses. */
  readonly host?: Addresses;
  /** Source port, 0 to 65535; with `protocol: 'gre'` the key. Without, flows of GRE have none. */
  readonly sport?: Numbers;
  /** As `sport`, of the destination. */
  readonly dport?: Numbers;
  /** One of both ports. */
  readonly port?: Numbers;
}

/** What a direction must be like, the original one. Which members go together depends on the protocol. */
export interface OriginalMatch extends EndMatch {
  /** ICMP and ICMPv6, original direction: 0 to 255. */
  readonly icmpType?: Numbers;
  /** As `icmpType`. */
  readonly icmpCode?: Numbers;
  /** ICMP and ICMPv6, original direction: 0 to 65535. */
  readonly icmpId?: Numbers;
  /** Zone of this direction only, 0 to 65535; an entry without one has 0. */
  readonly zone?: Numbers;
  /** Bytes of this direction. */
  readonly bytes?: Numbers;
  /** Packets of this direction. */
  readonly packets?: Numbers;
}

/** What a direction must be like, for protocols with ports or keys, and where no protocol is named. */
export interface TupleMatch extends OriginalMatch {
  readonly icmpType?: never;
  readonly icmpCode?: never;
  readonly icmpId?: never;
}

/** What the tuple of the flow must be like that this one was expected by. */
export interface MasterMatch extends EndMatch {}

/** What the original direction must be like, for ICMP and ICMPv6. */
export interface IcmpMatch extends OriginalMatch {
  readonly sport?: never;
  readonly dport?: never;
  readonly port?: never;
}

/** What the reply direction must be like, for ICMP and ICMPv6. */
export interface AddressMatch extends TupleMatch {
  readonly sport?: never;
  readonly dport?: never;
  readonly port?: never;
}

/** Translated at all, to this address, or to this address and port, each of which was another before. */
export type NatMatch = true | string | { readonly address?: string; readonly port?: number };

/** As `NatMatch`, for protocols without ports. */
export type AddressNatMatch = true | string | { readonly address?: string; readonly port?: never };

/** How a translated flow is seen: whether each part was another before does not matter. */
export type NatToMatch = Addresses | { readonly port: Numbers };

/** The members of a filter. Which of them go together depends on the protocol: `Filter` says it. */
export interface FilterMembers {
  readonly family?: Family;
  /** Layer-4 protocol, or several. Matches `-p`. */
  readonly protocol?: ProtocolInput | readonly ProtocolInput[];
  /** Matches `-s`, `-d`, `--sport`, `--dport`, `--icmp-type` and its kin, `--orig-zone`. */
  readonly original?: OriginalMatch;
  /** Matches `-r`, `-q`, `--reply-port-src`, `--reply-port-dst`, `--reply-zone`. */
  readonly reply?: TupleMatch;
  /** Of an expected flow: the tuple of the flow that it was expected by. */
  readonly master?: MasterMatch;
  /** One of the four addresses of both directions. */
  readonly host?: Addresses;
  /** One of the four ports of both directions. */
  readonly port?: Numbers;
  /** State of the tracker, or several; without a protocol, of any tracker. Matches `--state`. */
  readonly state?: FlowState | readonly FlowState[];
  /** The ctmark, or `mark & mask`. A flow without marks has 0. Matches `-m`. */
  readonly mark?: Numbers | { readonly value: Numbers; readonly mask: number };
  /** All of these bits are set; `{ not: { status: [...] } }` for the contrary. Matches `-u`. */
  readonly status?: readonly StatusName[];
  /** All of these label bits are set. Matches `-l`. */
  readonly labels?: readonly number[];
  /** One of these label bits is set. */
  readonly anyLabel?: readonly number[];
  /** Zone of both directions, 0 to 65535. Matches `-w`. */
  readonly zone?: Numbers;
  /** Identifier of the entry. Matches `-i`. */
  readonly id?: Numbers;
  /** So many seconds are left. Matches `-t`. */
  readonly timeout?: Numbers;
  /** Reference count. */
  readonly use?: Numbers;
  /** The obsolete secmark number. Matches `-c`. */
  readonly secmark?: Numbers;
  /** Security context, or several. */
  readonly secctx?: string | readonly string[];
  /** Name of the helper, or several. */
  readonly helper?: string | readonly string[];
  /** Bytes of both directions. Unknown while `net.netfilter.nf_conntrack_acct` is 0. */
  readonly bytes?: Numbers;
  /** Packets of both directions. */
  readonly packets?: Numbers;
  /** Seconds since the start, until the end of a flow that has ended. Unknown while `net.netfilter.nf_conntrack_timestamp` is 0. */
  readonly age?: Numbers;
  readonly start?: TimeRange;
  readonly stop?: TimeRange;
  /** Source-translated. Matches `-n`. */
  readonly srcNat?: NatMatch;
  /** Destination-translated. Matches `-g`. */
  readonly dstNat?: NatMatch;
  /** Translated in any way. Matches `-j`. */
  readonly anyNat?: NatMatch;
  /** Source-translated, and seen as one of these. */
  readonly snatTo?: NatToMatch;
  /** Destination-translated, and seen as one of these. */
  readonly dnatTo?: NatToMatch;
  /** Verification tags of SCTP. Matches `--orig-vtag`, `--reply-vtag`. */
  readonly sctp?: { readonly vtagOriginal?: Numbers; readonly vtagReply?: Numbers };
  /** Role of the original direction of DCCP. Matches `--role`. */
  readonly dccp?: { readonly role?: DccpRole };
  /** The flow has this, or all of these. */
  readonly has?: Presence | readonly Presence[];
  /** All of these hold as well. */
  readonly all?: readonly Filter[];
  /** At least one of these holds as well. */
  readonly any?: readonly Filter[];
  /** This is known not to hold. */
  readonly not?: Filter;
}

/** Of every protocol. */
interface AnyFilter extends FilterMembers {
  readonly protocol?: never;
  readonly original?: TupleMatch;
}

interface TcpFilter extends FilterMembers {
  readonly protocol: 'tcp';
  readonly original?: TupleMatch;
  readonly state?: TcpState | readonly TcpState[];
  readonly sctp?: never;
  readonly dccp?: never;
}

interface SctpFilter extends FilterMembers {
  readonly protocol: 'sctp';
  readonly original?: TupleMatch;
  readonly state?: SctpState | readonly SctpState[];
  readonly dccp?: never;
}

interface DccpFilter extends FilterMembers {
  readonly protocol: 'dccp';
  readonly original?: TupleMatch;
  readonly state?: DccpState | readonly DccpState[];
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

/** The compiler cannot tell which members suit a number, or several protocols. */
interface NumberFilter extends FilterMembers {
  readonly protocol: number | readonly ProtocolInput[];
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
  readonly anyLabel?: never;
  readonly helper?: never;
  readonly secctx?: never;
  readonly bytes?: never;
  readonly packets?: never;
  readonly age?: never;
  readonly stop?: never;
  readonly use?: never;
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

/** A filter as an object, or as text in the filter language (docs/filters.md). */
export type FilterInput = Filter | string;

/** @throws ValueError */
export function toFlowFilter(filter: Filter, path = ''): FlowFilter {
  const members = new Members(filter, path, true);
  const of: FlowFilter[] = [];
  const family = readFamily(members);
  if (family !== undefined) of.push({ kind: 'family', family });
  const protocols = readProtocols(members);
  const protonum = protocols?.length === 1 ? protocols[0] : undefined;
  const inner: FlowFilter[] = [];
  for (const side of ['original', 'reply', 'master'] as const) inner.push(...tupleConditions(members, side, protonum));
  const host = readSet(members, 'host');
  if (host) inner.push({ kind: 'address', ends: FLOW_ENDS, set: host });
  const port = readNumbers(members, 'port', MAX_U16);
  if (port) inner.push(...portConditions(FLOW_ENDS, port, members.at('port'), protonum));
  // Fields of ICMP, and keys, are of one protocol anyway.
  const implied = inner.some((c) => (c.kind === 'number' && c.field.startsWith('icmp')) || (c.kind === 'port' && c.of === 'key'));
  if (protocols && !implied) of.push({ kind: 'number', field: 'protocol', ranges: rangesOf(protocols.map((n) => [n, n])) });
  of.push(...inner);
  const state = readStates(members, protonum);
  if (state) of.push({ kind: 'state', names: state });
  of.push(...markConditions(members));
  const status = readStatus(members);
  if (status !== undefined) of.push(...statusIs(status, 0));
  const labels = readLabels(members, 'labels', MAX_LABEL);
  if (labels) of.push(...labelsAre(labels));
  const anyLabel = readLabels(members, 'anyLabel', MAX_LABEL);
  if (anyLabel) of.push({ kind: 'label', bits: sorted(notEmpty(anyLabel, members.at('anyLabel'))) });
  for (const field of ['zone', 'id', 'timeout', 'use', 'secmark'] as const) of.push(...numberCondition(members, field, field));
  for (const field of ['helper', 'secctx'] as const) {
    const values = readStrings(members, field);
    if (values) of.push({ kind: 'text', field, values: sortedTexts(values) });
  }
  of.push(...counterConditions(members, undefined));
  const age = readNumbers(members, 'age', MAX_AGE / 1000, (seconds) => Math.round(seconds * 1000));
  if (age) of.push({ kind: 'age', ranges: age });
  for (const name of ['start', 'stop'] as const) {
    const range = readTimeRange(members, name);
    if (range) of.push({ kind: 'time', of: name, ...range });
  }
  for (const [name, nat] of NAT_MEMBERS) {
    const condition = natCondition(members, name, nat, protonum);
    if (condition) of.push(condition);
  }
  for (const [name, nat] of NAT_TO_MEMBERS) {
    const condition = natToCondition(members, name, nat);
    if (condition) of.push(condition);
  }
  of.push(...protocolConditions(members, protonum));
  for (const what of readHas(members)) of.push({ kind: 'has', what });
  const list = (name: string) => members.list(name)?.map((item, i) => toFlowFilter(item as Filter, members.at(`${name}[${i}]`)));
  of.push(...(list('all') ?? []));
  const any = list('any');
  if (any) of.push({ kind: 'any', of: any });
  const not = members.get('not');
  if (not !== undefined) of.push({ kind: 'not', of: toFlowFilter(not as Filter, members.at('not')) });
  members.end();
  return { kind: 'all', of };
}

const NAT_MEMBERS = [
  ['srcNat', 'src'],
  ['dstNat', 'dst'],
  ['anyNat', 'any'],
] as const;

const NAT_TO_MEMBERS = [
  ['snatTo', 'src'],
  ['dnatTo', 'dst'],
] as const;

/** Kernels store 128 labels, but a filter may ask for any that a label file can name. */
export const MAX_LABEL = 1023;

function sorted(numbers: readonly number[]): readonly number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}

function sortedTexts(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort();
}

/** An empty list would match nothing where it stands, and everything behind `not`: nobody means it. */
function notEmpty<T>(list: readonly T[], path: string): readonly T[] {
  if (list.length === 0) throw new ValueError(`${path} is an empty list`, { hint: 'leave the member out, or give it a value' });
  return list;
}

/**
 * A number, several, or bounds. @param scale what a given number becomes
 * @throws ValueError, also where nothing could match
 */
function readNumbers(
  members: Members,
  name: string,
  max: number,
  scale: (given: number) => number = IDENTITY,
): Ranges | undefined {
  const value = members.get(name);
  if (value === undefined) return undefined;
  return toRanges(value, max, members.at(name), scale);
}

function toRanges(value: unknown, max: number, path: string, scale: (given: number) => number): Ranges {
  const one = (given: unknown, at: string) =>
    scale === IDENTITY || Number.isInteger(given)
      ? scale(numberOf(given, Math.floor(max), at))
      : scale(fractionOf(given, max, at));
  if (Array.isArray(value))
    return rangesOf(
      notEmpty(value, path).map((item: unknown, i) => {
        const at = `${path}[${i}]`;
        if (!Array.isArray(item)) return [one(item, at), one(item, at)] as const;
        if (item.length !== 2) throw new ValueError(`${at} must be a number, or a range of two numbers`);
        const [from, to] = [one(item[0], `${at}[0]`), one(item[1], `${at}[1]`)];
        if (from > to) throw new ValueError(`${at} ends before it begins`, { hint: `did you mean [${to}, ${from}]?` });
        return [from, to] as const;
      }),
    );
  if (typeof value !== 'object') {
    const number = one(value, path);
    return [number, number];
  }
  const bounds = new Members(value, path, true);
  const bound = (name: string) => {
    const given = bounds.get(name);
    return given === undefined ? undefined : one(given, bounds.at(name));
  };
  const [from, to] = [bound('min'), bound('max')];
  bounds.end();
  if (from === undefined && to === undefined) throw new ValueError(`${path} has neither min nor max`);
  const range = [from ?? 0, to ?? scale(max)] as const;
  if (range[0] > range[1]) throw new ValueError(`${path}: min is above max, so nothing could match`);
  return range;
}

const IDENTITY = (given: number) => given;

function fractionOf(value: unknown, max: number, path: string): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= max))
    throw new ValueError(`${path} must be a number from 0 to ${Math.floor(max)}, not ${show(value)}`);
  return value;
}

function numberCondition(members: Members, name: string, field: NumberField): FlowCondition[] {
  const ranges = readNumbers(members, name, maxOf(field));
  return ranges ? [{ kind: 'number', field, ranges }] : [];
}

/** A string, or several. */
function stringsOf(value: unknown, path: string): readonly string[] {
  const list = notEmpty(Array.isArray(value) ? value : [value], path);
  for (const item of list) if (typeof item !== 'string') throw new ValueError(`${path} must be text, not ${show(item)}`);
  return list as readonly string[];
}

function readStrings(members: Members, name: string): readonly string[] | undefined {
  const value = members.get(name);
  return value === undefined ? undefined : stringsOf(value, members.at(name));
}

function readSet(members: Members, name: string): AddressSet | undefined {
  const value = members.get(name);
  return value === undefined ? undefined : addressesOf(value, members.at(name));
}

function addressesOf(value: unknown, path: string): AddressSet {
  const texts = Array.isArray(value) ? notEmpty(value as unknown[], path) : [value];
  return unionOfAddresses(texts.map((text, i) => addressOf(text, texts.length > 1 ? `${path}[${i}]` : path)));
}

/** As the options of the command, objects take `10.1` for 10.0.0.1 and networks with bits behind their masks. */
function addressOf(value: unknown, path: string): AddressSet {
  if (typeof value !== 'string') throw new ValueError(`${path} must be an address or a network, not ${show(value)}`);
  const [text, ...suffix] = value.split('/');
  const liberal = parseAddress(text!);
  if (liberal && suffix.length === 0) return addressSet(liberal);
  const reading = readAddresses(liberal ? [formatAddress(liberal), ...suffix].join('/') : value, true);
  if ('set' in reading) return reading.set;
  throw new ValueError(`${path} must be an address or a network, not ${show(value)}, which ${reading.wrong}`);
}

function readProtocols(members: Members): readonly number[] | undefined {
  const value = members.get('protocol');
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) return [protonumOf(value, members.at('protocol'))];
  return notEmpty(value, members.at('protocol')).map((item, i) => protonumOf(item, members.at(`protocol[${i}]`)));
}

/** Names of states, of the protocol if one is named. */
function readStates(members: Members, protonum: number | undefined): readonly string[] | undefined {
  const value = members.get('state');
  if (value === undefined) return undefined;
  const path = members.at('state');
  const trackers = protonum === undefined ? PROTOCOLS : [protocolByNumber(protonum)];
  const known = trackers.flatMap(({ states }) => states ?? []);
  if (known.length === 0) throw new ValueError(`${path}: ${nameOf(protonum!)} has no states; only tcp, sctp and dccp have`);
  const names = stringsOf(value, path);
  for (const name of names)
    if (!known.includes(name)) {
      const of = protonum === undefined ? '' : ` of ${nameOf(protonum)}`;
      throw new ValueError(`${path}${of} must be one of ${[...new Set(known)].join(', ')}, not ${show(name)}`);
    }
  return sortedStates(names);
}

/** In the order of the kernel's numbers. */
export function sortedStates(names: readonly string[]): readonly string[] {
  return STATE_NAMES.filter((name) => names.includes(name));
}

/** The names of states of all trackers. */
export const STATE_NAMES: readonly string[] = [...new Set(PROTOCOLS.flatMap(({ states }) => states ?? []))];

function tupleConditions(members: Members, side: TupleEnd['side'], protonum: number | undefined): FlowCondition[] {
  const tuple = members.members(side, true);
  if (!tuple) return [];
  const of: FlowCondition[] = [];
  for (const [name, ends] of [
    ['src', [{ side, end: 'src' }]],
    ['dst', [{ side, end: 'dst' }]],
    ['host', endsOf(side)],
  ] as const) {
    const set = readSet(tuple, name);
    if (set) of.push({ kind: 'address', ends, set });
  }
  for (const [name, ends] of [
    ['sport', [{ side, end: 'src' }]],
    ['dport', [{ side, end: 'dst' }]],
    ['port', endsOf(side)],
  ] as const) {
    const ranges = readNumbers(tuple, name, MAX_U16);
    if (ranges) of.push(...portConditions(ends, ranges, tuple.at(name), protonum));
  }
  if (side === 'original')
    for (const [name, suffix] of [
      ['icmpType', 'Type'],
      ['icmpCode', 'Code'],
      ['icmpId', 'Id'],
    ] as const) {
      const ranges = readNumbers(tuple, name, name === 'icmpId' ? MAX_U16 : MAX_U8);
      if (!ranges) continue;
      if (protonum !== icmp.number && protonum !== icmpv6.number)
        throw new ValueError(`${tuple.at(name)} needs protocol icmp or icmpv6`);
      of.push({ kind: 'number', field: `${protonum === icmp.number ? 'icmp' : 'icmpv6'}${suffix}`, ranges });
    }
  if (side !== 'master') {
    of.push(...numberCondition(tuple, 'zone', `${side}Zone`));
    of.push(...counterConditions(tuple, side));
  }
  tuple.end();
  return of;
}

function portConditions(ends: readonly TupleEnd[], ranges: Ranges, path: string, protonum: number | undefined): FlowCondition[] {
  refusePort(path, protonum);
  return [{ kind: 'port', ends, of: protonum === gre.number ? 'key' : 'port', ranges }];
}

/** A protocol without a tracker of its own may have ports in kernels to come. */
function refusePort(path: string, protonum: number | undefined): void {
  if (protonum === icmp.number || protonum === icmpv6.number)
    throw new ValueError(`${path}: ${nameOf(protonum)} has no ports`, { hint: 'its flows have icmpType, icmpCode and icmpId' });
}

function counterConditions(members: Members, side: Side | undefined): FlowCondition[] {
  return (['bytes', 'packets'] as const).flatMap((of) => {
    const ranges = readNumbers(members, of, MAX_COUNT);
    return ranges ? [{ kind: 'counter' as const, of, ...(side && { side }), ranges }] : [];
  });
}

function markConditions(members: Members): FlowFilter[] {
  const value = members.get('mark');
  if (value === undefined) return [];
  const path = members.at('mark');
  if (typeof value !== 'object' || Array.isArray(value) || !('value' in (value ?? {})))
    return [{ kind: 'mark', mask: MAX_U32, ranges: toRanges(value, MAX_U32, path, IDENTITY) }];
  const mark = members.members('mark', true)!;
  const ranges = readNumbers(mark, 'value', MAX_U32)!;
  const mask = mark.number('mask', MAX_U32) ?? MAX_U32;
  mark.end();
  return ranges.length === 2 && ranges[0] === ranges[1] ? [markIs(ranges[0]!, mask)] : [{ kind: 'mark', mask, ranges }];
}

/** `{ value, mask }`; the mask is all ones where it is absent. */
export function readMarkAndMask(mark: Members): { value: number; mask: number } {
  const value = mark.number('value', MAX_U32);
  if (value === undefined) throw new ValueError(`${mark.at('value')} is missing`);
  const mask = mark.number('mask', MAX_U32) ?? MAX_U32;
  mark.end();
  return { value, mask };
}

function readTimeRange(members: Members, name: string): { from?: bigint; before?: bigint } | undefined {
  const range = members.members(name, true);
  if (!range) return undefined;
  const [from, before] = [readTime(range, 'after'), readTime(range, 'before')];
  range.end();
  if (from === undefined && before === undefined) throw new ValueError(`${members.at(name)} has neither after nor before`);
  return { ...(from !== undefined && { from }), ...(before !== undefined && { before }) };
}

function readTime(range: Members, name: string): bigint | undefined {
  const value = range.get(name);
  if (value === undefined) return undefined;
  const time = typeof value === 'bigint' ? value : typeof value === 'string' ? parseTime(value) : undefined;
  if (time === undefined || time < 0n || time >= 1n << 64n)
    throw new ValueError(
      `${range.at(name)} must be a time such as 2026-11-28T10:00:00Z, or nanoseconds since the epoch as a bigint, not ${show(value)}`,
    );
  return time;
}

function natCondition(
  members: Members,
  name: string,
  nat: 'src' | 'dst' | 'any',
  protonum: number | undefined,
): FlowFilter | undefined {
  const value = members.get(name);
  if (value === undefined) return undefined;
  if (value === true) return natIs(nat);
  if (typeof value === 'string') return natIs(nat, members.address(name));
  const { address, port } = readNat(members.members(name, true)!);
  if (port !== undefined) refusePort(`${members.at(name)}.port`, protonum);
  return natIs(nat, address, port);
}

/** `{ address, port }`. */
export function readNat(nat: Members): { address: Uint8Array | undefined; port: number | undefined } {
  const address = nat.address('address');
  const port = nat.number('port', MAX_U16);
  nat.end();
  return { address, port };
}

function natToCondition(members: Members, name: string, nat: End): FlowCondition | undefined {
  const value = members.get(name);
  if (value === undefined) return undefined;
  if (typeof value === 'string' || Array.isArray(value)) return { kind: 'natTo', nat, set: addressesOf(value, members.at(name)) };
  const part = members.members(name, true)!;
  const ports = readNumbers(part, 'port', MAX_U16);
  if (!ports) throw new ValueError(`${part.at('port')} is missing`);
  part.end();
  return { kind: 'natTo', nat, ports };
}

function readHas(members: Members): readonly Presence[] {
  const names = readStrings(members, 'has') ?? [];
  for (const name of names)
    if (!PRESENCES.includes(name as Presence))
      throw new ValueError(`${members.at('has')} must be one of ${PRESENCES.join(', ')}, not ${show(name)}`);
  return names as readonly Presence[];
}

function protocolConditions(members: Members, protonum: number | undefined): FlowCondition[] {
  const tags = membersOf(members, sctp, protonum);
  const of = tags ? (['vtagOriginal', 'vtagReply'] as const).flatMap((name) => numberCondition(tags, name, name)) : [];
  tags?.end();
  const roles = membersOf(members, dccp, protonum);
  const role = roles?.oneOf('role', DCCP_ROLES);
  if (role !== undefined)
    of.push({ kind: 'number', field: 'role', ranges: [DCCP_ROLES.indexOf(role), DCCP_ROLES.indexOf(role)] });
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
